"""The commands that rearrange, show and export rows, as they are typed; and a result that joins back to its rows."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas
import pytest
from command import hpcjobs

from hpcjobs.cli import data as commands
from hpcjobs.cli import dispatch
from hpcjobs.errors import UserError


def run(capsys: pytest.CaptureFixture[str], *argv: object) -> str:
    """What a command prints on stdout, run in this process."""
    assert dispatch([str(word) for word in argv]) == 0
    return capsys.readouterr().out


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a table of named samples around three points and the points themselves."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "state").mkdir()  # where the command looks for runs, too
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    draw = np.random.default_rng(8)
    kind = draw.integers(0, 3, size=120)
    points = kind[:, None] * 5 + draw.normal(size=(120, 2))
    lines = [f"s{row:03d},{a!r},{b!r},{k}" for row, ((a, b), k) in enumerate(zip(points.tolist(), kind, strict=True))]
    (tmp_path / "t.csv").write_text("\n".join(["name,a,b,kind", *lines]))
    with h5py.File(tmp_path / "start.h5", "w") as file:
        file["c"] = np.array([[0.0, 0], [5, 5], [10, 10]])
    return tmp_path


def test_labels_of_shuffled_rows_join_to_those_of_the_rows_as_they_were(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "data", "import", "t.csv", "t.h5", "--id", "name", "--target", "kind")
    assert "120 rows shuffled (id, x, y; one pass)" in run(capsys, "data", "shuffle", "t.h5", "s.h5", "--seed", 3)
    tables = []
    for name in ("t", "s"):
        flags = ("--clusters", 3, "--init", "start.h5:/c", "--out", f"run-{name}")
        hpcjobs(here, "run", "kmeans", "--data", f"{name}.h5", *flags)
        assert "120 rows of id, labels" in run(capsys, "export", f"run-{name}", f"{name}-labels.csv")
        tables.append(pandas.read_csv(f"{name}-labels.csv", index_col="id")["labels"])
    plain, shuffled = tables
    assert plain.index.tolist() != shuffled.index.tolist()
    pandas.testing.assert_series_equal(shuffled.loc[plain.index], plain)
    assert plain.value_counts().size == 3
    run(capsys, "export", "last", "last.parquet")
    run(capsys, "export", "run-s/result.h5", "file.tsv", "--dataset", "/result/labels")
    assert (here / "file.tsv").read_text() == (here / "s-labels.csv").read_text().replace(",", "\t")


def test_a_split_ends_with_a_line_for_each_part(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "data", "import", "t.csv", "t.h5", "--id", "name", "--target", "kind")
    (here / "parts").mkdir()
    shares = ("--test", 0.25, "--validation", 0.1, "--stratify", "--out-dir", "parts")
    lines = run(capsys, "data", "split", "t.h5", *shares).splitlines()
    assert [line.partition(";")[0] for line in lines] == [
        "parts/t-train.h5: 78 rows (65.0 %)",
        "parts/t-test.h5: 30 rows (25.0 %)",
        "parts/t-validation.h5: 12 rows (10.0 %)",
    ]
    assert all("rows by class: 0: " in line for line in lines)
    with h5py.File("t.h5") as whole, h5py.File("parts/t-test.h5") as test:
        counts = np.bincount(whole["data/y"][:])
        assert np.abs(np.bincount(test["data/y"][:]) - counts / 4).max() < 1


def test_a_preview_is_made_and_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "data", "import", "example:digits.csv", "d.h5", "--target", "digit", "--dtype", "uint8")
    told = run(capsys, "data", "preview", "d.h5", "d.png", "--shape", "8x8", "--rows", "0,5,9")
    assert told == "d.png: 3 of 1797 images of 8 x 8 uint8, 0 shown black and 16 white\n"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["data", "shuffle", "t.csv", "s.h5"], "t.csv: not a readable HDF5 file"),
        (["data", "shuffle", "start.h5", "s.h5", "--memory", "much"], "--memory: expected a size such as 500MB or 2GB"),
        (["data", "shuffle", "start.h5", "s.h5", "--seeds", "1"], "did you mean '--seed'?"),
        (["data", "split", "start.h5"], "--test is missing"),
        (["data", "split", "start.h5", "--test", "a fifth"], "--test: expected a number, found 'a fifth'"),
        (["data", "split", "start.h5", "--test", "0.5", "--out-dir", "no"], "there is no folder .*/no; make it first"),
        (["data", "preview", "start.h5", "s.png", "--rows", "1;2"], "--rows '1;2': expected row numbers with commas"),
        (["export", "nothing", "t.csv"], "nothing: no such run folder"),
        (["export", "start.h5", "out.csv"], "start.h5: not the result of a run"),
        (["export", "begun", "out.csv"], "begun: has no result yet; hpcjobs status begun tells how far it is"),
        (["export", ".", "out.csv"], "not a run folder"),
    ],
)
def test_mistakes_are_named(here: Path, argv: list[str], message: str) -> None:
    (here / "begun").mkdir()
    (here / "begun" / "settings.json").write_text('{"job": "kmeans", "settings": {}, "run_uuid": "u"}')
    before = sorted(here.iterdir())
    with pytest.raises(UserError, match=message):
        dispatch(argv)
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize(
    ("command", "argv", "expected"),
    [
        (
            "shuffle",
            ["a.h5", "b.h5", "--memory", "1.5GiB"],
            {"source": "a.h5", "out": "b.h5", "seed": 0, "memory": 3 * 2**29, "force": False},
        ),
        (
            "split",
            ["a.h5", "--test", "0.2", "--by", "site", "--out-dir", "d"],
            {
                "source": "a.h5",
                "out_dir": "d",
                "force": False,
                "recipe": {
                    "test": 0.2,
                    "validation": 0.0,
                    "by": "site",
                    "stratify": False,
                    "parts": None,
                    "seed": 0,
                },
            },
        ),
    ],
)
def test_a_job_is_told_what_the_command_was(command: str, argv: list[str], expected: dict[str, Any]) -> None:
    assert commands.load(command).request(argv) == expected


@pytest.mark.parametrize(
    ("text", "size"), [("7", 7), ("500MB", 500_000_000), ("2k", 2000), ("1.5GiB", 3 * 2**29), ("0.5 TB", 5 * 10**11)]
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    from hpcjobs.settings import memory_size

    assert memory_size(text) == size
