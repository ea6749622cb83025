"""A CNN run, as its user finds it: learns, gives the same bits on any ranks, continues in the middle of an epoch."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import onnxruntime
import pytest
from command import clean_environment, hpcjobs, story
from msgspec.structs import replace
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

from hpcjobs.cli import dispatch
from hpcjobs.errors import UserError
from hpcjobs.jobs._cnn_state import remember, schedule_of
from hpcjobs.jobs.cnn import Settings, check

FLAGS = ("--network", "lenet", "--epochs", 2, "--batch-size", 16, "--shards", 2, "--learning-rate", 0.004)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright squares left or right; and a run on one rank that keeps a checkpoint of each 7th of its 24 steps."""
    made = tmp_path_factory.mktemp("cnn")
    draw = np.random.default_rng(0)
    for name, rows in (("train", 200), ("test", 33)):
        images, classes = draw.integers(0, 90, size=(rows, 8, 8, 1)), draw.integers(0, 2, rows)
        for image, side in zip(images, classes, strict=True):
            row, column = draw.integers(1, 5), draw.integers(0, 2) + 4 * side
            image[row : row + 3, column : column + 3] += 120
        with h5py.File(made / f"{name}.h5", "w") as file:
            file["data/x"], file["data/y"] = images.astype(np.uint8), classes
    run(made, "one", "--checkpoint-every", 7)
    return made


def run(folder: Path, name: str, *flags: object) -> str:
    hpcjobs(folder, "run", "cnn", "--data", "train.h5", "--validation", "test.h5", *FLAGS, "--out", name, *flags)
    return str(story(folder, name)["digest"])


def test_it_learns_and_tells(folder: Path) -> None:
    told = story(folder, "one")
    assert told["result"]["steps"] == 24
    assert told["result"]["accuracy"] > 0.9
    assert len(told["history"]["loss"]) == len(told["history"]["validation_loss"]) == 24
    with h5py.File(folder / "one" / "result.h5") as file, h5py.File(folder / "test.h5") as data:
        result, truth = file["result"], data["data/y"][()]
        labels = result["labels"][()]
        assert result["accuracy"][()] == (labels == truth).mean()
        np.testing.assert_array_equal(
            result["confusion"][()], [[((truth == a) & (labels == b)).sum() for b in (0, 1)] for a in (0, 1)]
        )
        assert result["parameters/conv_1_weights"].shape == (3, 3, 1, 8)
        shares = result["probabilities"][()]
        chosen = shares[np.arange(33), truth]
        np.testing.assert_allclose(result["validation_loss"][()], -np.log(chosen).mean(), rtol=1e-12)
        best = int(result["best_epoch"][()])
    losses = told["history"]["validation_loss"]
    assert losses[12 * best - 1] == min(losses[11], losses[23])


def test_more_ranks_than_shards_give_the_same_bits(folder: Path) -> None:
    assert run(folder, "three", "-n", 3) == story(folder, "one")["digest"]


def test_a_run_that_stopped_in_an_epoch_goes_on_with_other_ranks(folder: Path) -> None:
    shutil.copytree(folder / "one", folder / "stopped")
    for path in (folder / "stopped").glob("checkpoints/step-*.h5"):
        if int(path.stem.removeprefix("step-")) > 14:  # 12 steps are an epoch
            path.unlink()
    (folder / "stopped" / "result.h5").unlink()
    (folder / "stopped" / "outcome.json").unlink()
    ended = hpcjobs(folder, "resume", "stopped", "-n", 2)
    assert "resuming after step 14" in ended.stderr
    assert story(folder, "stopped")["digest"] == story(folder, "one")["digest"]
    assert story(folder, "stopped")["history"]["loss"] == story(folder, "one")["history"]["loss"]


def test_a_run_that_stopped_early_stays_so_when_its_result_is_made_again(folder: Path) -> None:
    flags = ("--learning-rate", 0, "--optimiser", "sgd", "--early-stopping", 1, "--epochs", 9)
    digest = run(folder, "early", *flags)
    assert story(folder, "early")["result"]["steps"] == 24  # the second epoch is not better than the first
    (folder / "early" / "result.h5").unlink()
    (folder / "early" / "outcome.json").unlink()
    hpcjobs(folder, "resume", "early")
    assert story(folder, "early")["digest"] == digest


def test_predictions_are_those_of_the_validation(folder: Path) -> None:
    hpcjobs(folder, "predict", "one", "test.h5", "predicted.h5")
    with h5py.File(folder / "predicted.h5") as new, h5py.File(folder / "one" / "result.h5") as result:
        for name in ("labels", "probabilities"):
            np.testing.assert_array_equal(new["prediction"][name], result["result"][name])


def test_evaluation_is_the_same_on_uneven_ranks(folder: Path) -> None:
    alone = hpcjobs(folder, "evaluate", "one", "test.h5", "--json").stdout
    mpiexec = Path(sys.executable).parent / "mpiexec"
    argv = [mpiexec, "-n", "3", sys.executable, "-m", "mpi4py", "-m", "hpcjobs", "evaluate", "one", "test.h5", "--json"]
    ranks = subprocess.run(argv, cwd=folder, env=clean_environment(folder), capture_output=True, text=True, check=True)
    assert ranks.stdout == alone
    with h5py.File(folder / "test.h5") as data, h5py.File(folder / "one" / "result.h5") as result:
        truth, shares = data["data/y"][()], result["result/probabilities"][()]
    told, labels = json.loads(alone), shares.argmax(axis=1)
    assert told["accuracy"] == (labels == truth).mean()
    for number, row in enumerate(told["classes"]):
        theirs = precision_recall_fscore_support(truth, labels, labels=[number])
        np.testing.assert_allclose([row["precision"], row["recall"], row["f1"], row["support"]], np.ravel(theirs))
        np.testing.assert_allclose(row["roc_auc"], roc_auc_score(truth == number, shares[:, number]))


def test_what_is_said_of_each_row_and_the_model_are_exported(folder: Path) -> None:
    told = hpcjobs(folder, "evaluate", "one", "test.h5", "--bootstrap", 50, "-o", "judged.h5", "-n", 2).stdout
    assert "intervals:" in told and "confusion:" in told
    hpcjobs(folder, "export", "judged.h5", "judged.csv")
    lines = (folder / "judged.csv").read_text().splitlines()
    assert len(lines) == 34
    assert lines[0].split(",")[0] == "id"
    hpcjobs(folder, "export", "one", "model.onnx")
    with h5py.File(folder / "test.h5") as data, h5py.File(folder / "judged.h5") as judged:
        session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
        (theirs,) = session.run(None, {"images": data["data/x"][()].astype(np.float32)})
        np.testing.assert_allclose(theirs, judged["prediction/probabilities"], atol=1e-5)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("evaluate", "one"), ["DATA"]),
        (("evaluate", "one", "test.h5", "--gruops", "a"), ["--gruops", "did you mean '--groups'"]),
        (("evaluate", "one", "test.h5", "--bootstrap", "x"), ["--bootstrap is 'x'", "whole number"]),
        (("evaluate", "one", "test.h5", "-o", "test.h5"), ["test.h5: exists already", "--force"]),
        (("export", "one", "model.safetensors", "--dataset", "labels"), ["--dataset labels", "whole model"]),
        (("export", "one", "test.onnx", "--froce"), ["--froce", "--force"]),
    ],
)
def test_mistakes_of_the_verbs_are_named(
    folder: Path, argv: tuple[str, ...], words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(UserError) as found:
        dispatch(argv)
    for word in words:
        assert word in str(found.value), str(found.value)


def test_a_course_that_knows_its_end_cannot_be_made_longer(folder: Path) -> None:
    short = Settings(data=str(folder / "train.h5"), network="lenet", schedule="cosine", epochs=2)
    ground = check(short)
    before, after = (schedule_of(replace(short, epochs=epochs), 6) for epochs in (2, 3))
    state = remember({}, ground, short, before).state(before)
    assert remember(dict(state), ground, short, before).learner.parameters.size == ground.network.size
    with pytest.raises(UserError, match="12 steps, now it would be 18"):
        remember(dict(state), ground, short, after)
