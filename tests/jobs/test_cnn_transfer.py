"""A trained network as the beginning of another: by its run or its exports, with a new head, with layers that stay."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from jobs.in_threads import Run, finished, run_on
from jobs.networks import model_of
from sklearn.metrics import adjusted_rand_score

from hpcjobs.errors import UserError
from hpcjobs.jobs import cnn
from hpcjobs.jobs._cnn_predict import MODEL
from hpcjobs.jobs._predict import Settings as Prediction
from hpcjobs.jobs._predict import check, predict_file
from hpcjobs.jobs.cnn import EXPORTS, Settings
from hpcjobs.jobs.cnn import check as check_cnn
from hpcjobs.nn.presets import lenet
from hpcjobs.parallel.communicator import SerialCommunicator
from hpcjobs.runs.model import read_model
from hpcjobs.settings import build

FLAGS: dict[str, Any] = {"epochs": 1, "batch_size": 16, "shards": 2, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright squares at one of 2 or 4 places; a LeNet that tells 2 apart, and its exports."""
    made = tmp_path_factory.mktemp("transfer")
    draw = np.random.default_rng(0)
    for classes in (2, 4):
        images, y = draw.integers(0, 90, size=(96, 8, 8, 1)), np.arange(96) % classes
        for image, place in zip(images, y, strict=True):
            row, column = 4 * (place // 2), 4 * (place % 2)
            image[row : row + 4, column : column + 4] += 150
        with h5py.File(made / f"places{classes}.h5", "w") as file:
            file["data/x"], file["data/y"] = images.astype(np.uint8), y
    run(made, 2, "first", network="lenet", epochs=4)
    model = read_model(made / "first" / "result.h5", MODEL)
    for suffix, make in EXPORTS.items():
        (made / f"model{suffix}").write_bytes(make(model))
    (made / "other.safetensors").write_bytes(EXPORTS[".safetensors"](model_of(lenet(2), (8, 8, 3))))
    return made


def run(folder: Path, classes: int, name: str, ranks: int = 1, **flags: Any) -> Run:
    found = run_on(cnn, folder, ranks, name=name, **(FLAGS | {"data": f"{folder}/places{classes}.h5"} | flags))
    assert found is not None
    return found


def parameters(folder: Path, name: str) -> dict[str, Any]:
    return read_model(folder / name / "result.h5", MODEL).arrays


def test_run_result_and_exports_are_the_same_beginning(folder: Path) -> None:
    begun = [
        run(folder, 2, f"from {number}", ranks, init_from=str(folder / name), freeze="1").digest
        for number, (name, ranks) in enumerate((("first/result.h5", 1), ("model.safetensors", 2), ("model.onnx", 3)))
    ]
    assert begun[0] == begun[1] == begun[2]


def test_a_new_head_learns_on_layers_that_stay(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(folder, 4, "four", init_from=str(folder / "first" / "result.h5"), freeze="conv_1,conv_2,dense_1", epochs=6)
    said = capfd.readouterr().err
    assert "layer dense_2 is new" in said
    assert "not trained: conv_1, conv_2, dense_1" in said
    before, after = parameters(folder, "first"), parameters(folder, "four")
    for name in before:
        if name.endswith(("weights", "bias")) and "dense_2" not in name:
            np.testing.assert_array_equal(before[name], after[name])
    assert after["parameters/dense_2_weights"].shape == (64, 4)


def test_a_run_does_not_go_on_from_another_beginning(folder: Path) -> None:
    beginning, other = folder / "mine.safetensors", model_of(lenet(1), (8, 8, 1), "binary")
    beginning.write_bytes((folder / "model.safetensors").read_bytes())
    flags = FLAGS | {"data": f"{folder}/places2.h5", "init_from": str(beginning)}
    assert run_on(cnn, folder, name="changed", stop_after=2, **flags) is None
    with h5py.File(next((folder / "changed" / "checkpoints").glob("*.h5"))) as file:
        assert file["provenance/inputs/name"][-1].decode().strip() == f"{beginning}:/network"
    beginning.write_bytes(EXPORTS[".safetensors"](other))
    with pytest.raises(UserError, match=r"mine\.safetensors:/network has changed since this run began"):
        run_on(cnn, folder, name="changed", **flags)


def test_a_network_begun_with_starts_where_the_other_ended(folder: Path) -> None:
    run(folder, 2, "still", init_from=str(folder / "model.onnx"), learning_rate=0.0, optimiser="sgd")
    before, after = parameters(folder, "first"), parameters(folder, "still")
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])


def test_features_of_a_layer_are_clustered_into_the_classes(folder: Path) -> None:
    run(folder, 4, "taught", network="lenet", epochs=6)
    wanted = Prediction(
        model=str(folder / "taught" / "result.h5"), data=f"{folder}/places4.h5", file=f"{folder}/features.h5",
        layer="relu_3",
    )  # fmt: skip
    assert predict_file(wanted, SerialCommunicator()) == (96, 0)
    with h5py.File(folder / "features.h5") as file:
        assert file["prediction/features"].shape == (96, 64)
    clusters = finished(folder, name="clusters", data=f"{folder}/features.h5:/prediction/features", clusters=4)
    assert adjusted_rand_score(np.arange(96) % 4, clusters.result["labels"]) > 0.9


def test_features_of_the_last_layer_are_those_the_probabilities_come_from(folder: Path) -> None:
    one = Prediction(model=str(folder / "first" / "result.h5"), data=f"{folder}/places2.h5", file=f"{folder}/a.h5")
    other = build(
        Prediction, None, {"model": one.model, "data": one.data, "file": f"{folder}/b.h5", "layer": "dense_2"}
    )
    for wanted in (one, other):
        predict_file(wanted, SerialCommunicator())  # type: ignore[arg-type]
    with h5py.File(folder / "a.h5") as said, h5py.File(folder / "b.h5") as values:
        odds = values["prediction/features"][:, 0].astype(np.float64)
        np.testing.assert_allclose(said["prediction/probabilities"][:, 1], 1 / (1 + np.exp(-odds)))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"init_from": "other.safetensors"}, ["conv_1", "found 3 x 3 x 3 x 8", "expected 3 x 3 x 1 x 8"]),
        ({"init_from": "model.onnx", "network": "resnet20"}, ["conv_1", "found 3 x 3 x 1 x 8", "3 x 3 x 1 x 16"]),
        ({"init_from": "none.onnx"}, ["none.onnx", "No such file"]),
        ({"init_from": "places2.h5"}, ["places2.h5", "no result of a run"]),
        ({"init_from": "torn.safetensors"}, ["torn.safetensors", "header"]),
        ({"init_from": "torn.onnx"}, ["torn.onnx", "no ONNX file"]),
        ({"init_from": "theirs.safetensors"}, ["theirs.safetensors", "holds no network"]),
        ({"init_from": "model.onnx", "freeze": "dense_9"}, ["--freeze dense_9", "did you mean"]),
    ],
)
def test_what_is_no_beginning_is_named(folder: Path, flags: dict[str, Any], words: list[str]) -> None:
    for suffix in EXPORTS:
        (folder / f"torn{suffix}").write_bytes((folder / f"model{suffix}").read_bytes()[:40])
    (folder / "theirs.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    named = flags | {"init_from": str(folder / flags["init_from"])}
    with pytest.raises(UserError) as found:
        check_cnn(build(Settings, None, FLAGS | {"data": f"{folder}/places2.h5"} | named))  # type: ignore[arg-type]
    for word in words:
        assert word in str(found.value), str(found.value)


def test_a_layer_that_is_not_there_is_named_before_any_work(folder: Path) -> None:
    wanted = Prediction(
        model=str(folder / "first" / "result.h5"), data=f"{folder}/places2.h5", file=f"{folder}/no.h5", layer="dense_7"
    )
    with pytest.raises(UserError, match=r"dense_7.*did you mean"):
        check(wanted)
