"""A network of dense layers learns from rows of numbers, such as features joined by id; others want images."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from jobs.in_threads import Run, run_on

from hpcjobs.data.join import join
from hpcjobs.errors import UserError
from hpcjobs.jobs import cnn
from hpcjobs.jobs._predict import Settings, predict_file
from hpcjobs.jobs.cnn import Settings as Wanted
from hpcjobs.jobs.cnn import check
from hpcjobs.parallel.communicator import SerialCommunicator
from hpcjobs.runs.model import read_model
from hpcjobs.settings import build

FLAGS: dict[str, Any] = {
    "network": "mlp", "augmentation": "standardise=feature", "batch_size": 16, "shards": 4, "epochs": 12,
    "learning_rate": 0.01,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sign of a product of two numbers, of which each file holds one: neither file alone can tell it."""
    made = tmp_path_factory.mktemp("features")
    draw = np.random.default_rng(6)
    x = draw.uniform(-1, 1, size=(160, 2)) + np.sign(draw.normal(size=(160, 2)))
    order = draw.permutation(160)
    for name, rows, columns in (("a", np.arange(160), [0]), ("b", order, [1])):
        with h5py.File(made / f"{name}.h5", "w") as file:
            file["x"], file["id"] = 1000 * x[rows][:, columns], rows
            if name == "a":
                file["y"] = (x.prod(axis=1) > 0).astype(np.int64)
    join([f"{made}/a.h5:/x", f"{made}/b.h5:/x"], made / "both.h5")
    return made


def trained(folder: Path, name: str, ranks: int = 1, **more: Any) -> Run:
    flags = FLAGS | {"data": f"{folder}/both.h5", "validation": f"{folder}/both.h5"} | more
    found = run_on(cnn, folder, ranks, name=name, **flags)
    assert found is not None
    return found


def test_files_joined_by_id_teach_what_none_of_them_does(folder: Path) -> None:
    together, alone = trained(folder, "both"), trained(folder, "a", data=f"{folder}/a.h5:/x", validation=None)
    assert together.result["accuracy"] > 0.95
    assert float(alone.history["accuracy"][-20:].mean()) < 0.75
    assert trained(folder, "on3", 3).digest == together.digest
    assert "worst_image" not in together.result


def test_rows_of_numbers_are_predicted_and_evaluated_as_they_lie(folder: Path) -> None:
    result = trained(folder, "known").result
    model = f"{folder}/known/result.h5"
    predict_file(Settings(model=model, data=f"{folder}/both.h5", file=f"{folder}/p.h5"), SerialCommunicator())
    with h5py.File(folder / "p.h5") as file:
        np.testing.assert_array_equal(file["prediction/probabilities"], result["probabilities"])
    wanted = cnn.Evaluation(data=f"{folder}/both.h5", bootstrap=0)
    told = cnn.evaluate(read_model(Path(model), cnn.MODEL), wanted, SerialCommunicator()).told
    assert told["accuracy"] == result["accuracy"]


@pytest.mark.parametrize(
    "more", [{"network": "resnet20"}, {"network": None}, {"network": None, "layers": ({"type": "global_pool"},)}]
)
def test_networks_that_look_at_places_want_a_shape(folder: Path, more: dict[str, Any]) -> None:
    flags = {key: item for key, item in (FLAGS | more).items() if item is not None}
    wanted = build(Wanted, None, flags | {"data": f"{folder}/both.h5"})
    assert isinstance(wanted, Wanted)
    with pytest.raises(UserError, match=r"a row has 2 values and no height and width; name its --image-shape.* mlp"):
        check(wanted)


def test_rows_of_another_length_than_the_given_network_takes_are_named(folder: Path) -> None:
    trained(folder, "first", epochs=1)
    wanted = build(
        Wanted, None, {"data": f"{folder}/a.h5:/x", "init_from": f"{folder}/first/result.h5", "batch_size": 16}
    )
    assert isinstance(wanted, Wanted)
    with pytest.raises(UserError, match=r"the network takes 1x1x2: 2 values; a row of .* has 1"):
        check(wanted)
