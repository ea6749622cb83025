"""What a network sees: the same on any ranks, from memory or the file, augmented, by the names of classes."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from clustering.threads_comm import on_ranks
from jobs.in_threads import Run, run_on

from hpcjobs.errors import DataError
from hpcjobs.jobs import cnn
from hpcjobs.jobs._predict import Settings, predict_file
from hpcjobs.parallel.communicator import Communicator, SerialCommunicator
from hpcjobs.report.kinds import Material
from hpcjobs.runs.model import read_model

AUGMENTATION = "rotation=20,crop=6x6,crop-padding=1,horizontal-flip,standardise=feature,mixup=0.3,cutout=2"
LAYERS = (
    {"type": "conv", "filters": 4}, {"type": "batch_norm"}, {"type": "relu"}, {"type": "max_pool"},
    {"type": "flatten"}, {"type": "dropout", "rate": 0.2}, {"type": "dense", "units": 3},
)  # fmt: skip
FLAGS: dict[str, Any] = {
    "augmentation": AUGMENTATION, "layers": LAYERS, "batch_size": 16, "shards": 4, "epochs": 2, "steps_per_epoch": 4,
    "learning_rate": 0.01, "image_shape": "8x7x2", "class_weights": "balanced",
}  # fmt: skip


def squares(path: Path, rows: int, seed: int, names: bool) -> str:
    """Images with a bright square on top, in the middle or below: names of classes, or their numbers in other order."""
    draw = np.random.default_rng(seed)
    classes = draw.integers(0, 3, rows)
    images = draw.integers(0, 90, size=(rows, 8, 7, 2)).astype(np.uint8)
    for image, number in zip(images, classes, strict=True):
        image[2 * number : 2 * number + 3, 2:5] += 120
    with h5py.File(path, "w") as file:
        file["x"] = images
        if names:
            file["y"], file["class_name"] = classes, np.array([b"top", b"middle", b"below"])
        else:
            file["y"] = np.array([b"top", b"middle", b"below"])[classes]
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("input")
    squares(made / "train.h5", 70, 1, names=True)
    squares(made / "test.h5", 23, 2, names=False)
    return made


def trained(folder: Path, ranks: int, name: str, stop_after: int = -1, **more: Any) -> Run | None:
    flags = FLAGS | {"data": f"{folder}/train.h5:/x", "validation": f"{folder}/test.h5:/x"} | more
    return run_on(cnn, folder, ranks, name=name, stop_after=stop_after, **flags)


@pytest.fixture(scope="module")
def alone(folder: Path) -> Run:
    found = trained(folder, 1, "alone")
    assert found is not None
    return found


@pytest.mark.parametrize("ranks", [2, 3, 4, 8])
def test_any_number_of_ranks_learns_the_same_whether_it_holds_the_images_or_not(
    folder: Path, alone: Run, ranks: int
) -> None:
    more = {} if ranks == 2 else {"memory": "1KB"}
    found = trained(folder, ranks, f"on{ranks}", **more)
    assert found is not None and found.digest == alone.digest


def test_a_run_stopped_in_an_epoch_goes_on_with_other_ranks_and_memory(folder: Path, alone: Run) -> None:
    assert trained(folder, 3, "stopped", stop_after=6) is None
    found = trained(folder, 2, "stopped", memory="1KB")
    assert found is not None and found.digest == alone.digest
    np.testing.assert_array_equal(found.history["loss"], alone.history["loss"])


def test_a_result_knows_its_classes_and_how_images_are_prepared(folder: Path, alone: Run) -> None:
    assert alone.result["class_name"].tolist() == [b"top", b"middle", b"below"]
    facts = json.loads(alone.result["network"].item())
    assert facts["images"] == [8, 7, 2] and facts["rescale"] == 1 / 255
    with h5py.File(folder / "train.h5") as file:
        pixels = file["x"][()].astype(np.float64)
    expected = [pixels.mean(axis=(0, 1, 2)), pixels.std(axis=(0, 1, 2))]
    np.testing.assert_allclose(facts["channels"], expected, rtol=1e-9)
    told = cnn.describe({"steps": 8, "loss": 1.0, "class_name": ["top", "middle", "below"]})
    assert told["classes"] == "top, middle, below"


def test_predictions_and_evaluation_prepare_images_as_the_validation_does(folder: Path, alone: Run) -> None:
    model = read_model(folder / "alone" / "result.h5", cnn.MODEL)
    with h5py.File(folder / "test.h5") as file:
        pixels = file["x"][()]
        truth = np.array([[b"top", b"middle", b"below"].index(name) for name in file["y"][()]])
    said = cnn.predict(model.arrays, pixels.reshape(23, -1))
    for name in ("labels", "probabilities"):
        np.testing.assert_array_equal(said[name], alone.result[name])
    written = folder / "said.h5"
    told = Settings(model=f"{folder}/alone/result.h5", data=f"{folder}/test.h5:/x", file=str(written))
    assert predict_file(told, SerialCommunicator()) == (23, 0)
    with h5py.File(written) as file:
        np.testing.assert_array_equal(file["prediction/labels"], said["labels"])
        assert file["prediction/class_name"][()].tolist() == [b"top", b"middle", b"below"]
    wanted = cnn.Evaluation(data=f"{folder}/test.h5:/x", bootstrap=20)
    judged = [
        *on_ranks(3, lambda comm: cnn.evaluate(model, wanted, comm).told),
        cnn.evaluate(model, wanted, SerialCommunicator()).told,
    ]
    assert all(json.dumps(one) == json.dumps(judged[0]) for one in judged)
    assert judged[0]["accuracy"] == (said["labels"] == truth).mean() == alone.result["accuracy"]
    assert [row["name"] for row in judged[0]["classes"]] == ["top", "middle", "below"]


def test_an_image_with_nan_is_not_predicted(folder: Path, alone: Run) -> None:
    model = read_model(folder / "alone" / "result.h5", cnn.MODEL)
    rows = np.zeros((3, 112), dtype=np.float64)
    rows[1, 5], rows[2, 5] = np.nan, 1e300
    assert cnn.predict(model.arrays, rows)["labels"].tolist()[1:] == [-1, -1]


def test_memory_of_a_rank_is_that_of_all_images_or_of_pools(folder: Path) -> None:
    given = {key: value for key, value in FLAGS.items() if key != "augmentation"}
    needs = [
        cnn.need(cnn.Settings(data=f"{folder}/train.h5:/x", memory=memory, **given), 4) for memory in ("1GB", "1KB")
    ]
    pools = 2 * 8 * 112  # of one shard of 4 rows: pools of 8 rows, the next one read ahead
    assert needs[0] - needs[1] == 70 * 112 - pools


def test_an_image_with_nan_among_those_to_evaluate_is_named_on_every_rank(folder: Path, alone: Run) -> None:
    model = read_model(folder / "alone" / "result.h5", cnn.MODEL)
    with h5py.File(folder / "test.h5") as file, h5py.File(folder / "holes.h5", "w") as holes:
        pixels = file["x"][()].astype(np.float32)
        pixels[20, 0, 0, 0] = np.nan
        holes["x"], holes["y"], holes["id"] = pixels, file["y"][()], np.arange(23) + 100

    def refused(communicator: Communicator) -> str:
        with pytest.raises(DataError) as found:
            cnn.evaluate(model, cnn.Evaluation(data=f"{folder}/holes.h5:/x"), communicator)
        return str(found.value)

    assert all("the image of id 120 holds NaN" in told for told in on_ranks(3, refused))


def test_the_confusion_matrix_on_a_page_names_the_classes(alone: Run) -> None:
    figure = next(one for one in cnn.figures(Material(alone.result, {})) if one.title == "Confusion")
    assert "of 3 classes" in figure.caption and "(top, middle, below)" in figure.caption
