"""`hpcjobs predict`: what the model of a run says of new rows, joined to them by their identities."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from command import hpcjobs
from numpy.typing import NDArray

from hpcjobs.cli import dispatch
from hpcjobs.data.schema import Contents, Variable
from hpcjobs.data.writing import write_file
from hpcjobs.errors import UserError

RUNS = {
    "plain": [],
    "standard": ["--scale", "standard"],
    "robust": ["--scale", "robust"],
    "unit": ["--scale", "unit"],
    "cosine": ["--scale", "standard", "--metric", "cosine"],
}


def rows_of(count: int) -> NDArray[np.float64]:
    draw = np.random.default_rng(1)
    return (draw.normal(size=(count, 4)) + 8 * draw.integers(0, 3, size=(count, 1))) * [1, 10, 100, 0.1] + 5


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with rows and one finished run for each kind of scaling."""
    folder = tmp_path_factory.mktemp("predict")
    with h5py.File(folder / "d.h5", "w") as file:
        file["data/x"], file["data/id"] = rows_of(300), np.arange(300) * 3 + 7
        file["wide"], file["text"] = np.zeros((5, 6)), np.zeros((5, 4), dtype="S3")
        file["float32"] = rows_of(300).astype(np.float32)
        holed = rows_of(300)
        holed[4, 1], holed[9, 0] = np.nan, np.inf
        file["holed"] = holed
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        for name, flags in RUNS.items():
            told = ["run", "kmeans", "--data", "d.h5", "--clusters", "6", "--out", name, *flags]
            assert dispatch(told) == 0
    return folder


@pytest.fixture
def here(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(home)
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    return home


def predicted(path: Path) -> dict[str, NDArray[Any]]:
    with h5py.File(path) as file:
        return {name: item[()] for name, item in file["prediction"].items()}


def result(run: Path) -> dict[str, NDArray[Any]]:
    with h5py.File(run / "result.h5") as file:
        return {name: item[()] for name, item in file["result"].items()}


@pytest.mark.parametrize("run", RUNS)
def test_the_rows_of_the_run_get_the_labels_of_the_run(here: Path, run: str) -> None:
    assert dispatch(["predict", run, "d.h5", f"{run}.h5", "--force"]) == 0
    found, trained = predicted(here / f"{run}.h5"), result(here / run)
    assert (found["labels"] == trained["labels"]).all()
    assert (found["id"] == trained["id"]).all() and found["id"][0] == 7
    centres = trained.get("scaled_centres", trained["centres"])
    rows = (rows_of(300) - trained.get("offset", 0.0)) / trained.get("factor", 1.0)
    if trained.get("unit", 0):
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    distances = np.linalg.norm(rows[:, None] - centres, axis=2)
    np.testing.assert_allclose(found["distance"], distances.min(axis=1), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("run", ["plain", "standard"])
def test_rows_of_a_shorter_type_are_taken_as_they_are(here: Path, run: str) -> None:
    assert dispatch(["predict", run, "d.h5:/float32", "short.h5", "--force"]) == 0
    assert (predicted(here / "short.h5")["labels"] == result(here / run)["labels"]).mean() > 0.98


def test_rows_with_holes_have_no_label_and_are_counted(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["predict", "plain", "d.h5:/holed", "holed.h5", "--force"]) == 0
    assert "2 of them without an answer" in capsys.readouterr().out
    found = predicted(here / "holed.h5")
    assert set(np.flatnonzero(found["labels"] == -1)) == set(np.flatnonzero(np.isnan(found["distance"]))) == {4, 9}
    whole = np.delete(np.arange(300), [4, 9])
    assert (found["labels"][whole] == result(here / "plain")["labels"][whole]).all()


def test_any_number_of_ranks_says_the_same(here: Path) -> None:
    dispatch(["predict", "robust", "d.h5", "one.h5", "--force"])
    for ranks in (2, 4):
        hpcjobs(
            here, "predict", "robust", "d.h5", "many.h5", "--force", "-n", ranks, env={"XDG_STATE_HOME": here / "state"}
        )
        one, many = predicted(here / "one.h5"), predicted(here / "many.h5")
        assert all(one[name].tobytes() == many[name].tobytes() for name in one)


def test_more_ranks_than_rows_work(here: Path) -> None:
    with h5py.File(here / "few.h5", "w") as file:
        file["x"] = rows_of(300)[:2]
    hpcjobs(here, "predict", "plain", "few.h5", "p.h5", "-n", 4)
    assert (predicted(here / "p.h5")["labels"] == result(here / "plain")["labels"][:2]).all()


def test_the_file_tells_where_it_comes_from_and_is_whole(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dispatch(["predict", str(here / "plain" / "result.h5"), "d.h5", "told.h5", "--force"])
    with h5py.File(here / "told.h5") as file, h5py.File(here / "plain" / "result.h5") as run:
        assert file.attrs["kind"] == b"prediction" and file.attrs["job"] == b"kmeans"
        assert file.attrs["model_digest"] == run.attrs["result_digest"]
        assert file.attrs["run_uuid"] == run.attrs["run_uuid"]
    assert dispatch(["data", "verify", "told.h5"]) == 0
    assert "whole" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["absent", "d.h5", "o.h5"], ["absent", "no such run folder"]),
        (["d.h5", "d.h5", "o.h5"], ["d.h5", "no result of a run"]),
        (["plain", "absent.h5", "o.h5"], ["absent.h5", "no such file"]),
        (["plain", "d.h5:/wide", "o.h5"], ["6 features", "rows of 4"]),
        (["plain", "d.h5:/text", "o.h5"], ["/text", "not numbers"]),
        (["plain", "d.h5", "d.h5"], ["exists already", "--force"]),
        (["plain", "d.h5", "no/o.h5"], ["no folder"]),
        (["plain", "d.h5"], ["OUT.h5"]),
        (["plain", "d.h5", "o.h5", "-n", "0"], ["-n", "'0'"]),
    ],
)
def test_what_does_not_fit_is_named(here: Path, argv: list[str], words: list[str]) -> None:
    with pytest.raises(UserError) as refusal:
        dispatch(["predict", *argv])
    assert all(word in str(refusal.value) for word in words), refusal.value
    assert not (here / "o.h5").exists()


def test_a_file_makes_nobody_run_the_code_that_it_names(here: Path) -> None:
    (here / "evil.py").write_text("from pathlib import Path\nPath('canary').touch()\n")
    variables = {"/result/centres": Variable(("cluster", "feature"), np.zeros((2, 4)), "centres")}
    write_file(here / "evil.h5", Contents("result", "t", variables, job=f"{here}/evil.py", run_uuid="u"))
    with pytest.raises(UserError, match="is not installed here"):
        dispatch(["predict", "evil.h5", "d.h5", "o.h5"])
    assert not (here / "canary").exists()


def test_a_run_without_a_result_and_one_that_cannot_predict_say_so(here: Path) -> None:
    (here / "count.py").write_text(
        "import msgspec\nimport numpy as np\nfrom hpcjobs.data.schema import Variable\n"
        "class Settings(msgspec.Struct, frozen=True, kw_only=True):\n    fail: bool = False\n"
        "def run(settings, context):\n    if settings.fail:\n        raise RuntimeError('no')\n"
        "    return context.publish_result('t', {'/result/n': Variable((), np.array(1), 'n')})\n"
    )
    assert dispatch(["run", "./count.py", "--out", "counted"]) == 0
    with pytest.raises(UserError, match="cannot predict"):
        dispatch(["predict", "counted", "d.h5", "o.h5"])
    with pytest.raises(RuntimeError):
        dispatch(["run", "./count.py", "--fail", "--out", "broken"])
    with pytest.raises(UserError, match="no result yet"):
        dispatch(["predict", "broken", "d.h5", "o.h5"])
