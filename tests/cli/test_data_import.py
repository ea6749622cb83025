"""`hpcjobs data import` as a user types it: on ranks, with one report, one message, and the right exit code."""

import json
import sys
from pathlib import Path

import pictures
import pytest
from command import hpcjobs, refused

from hpcjobs.cli import _ranks
from hpcjobs.cli.data import generate, import_
from hpcjobs.data.importing import ImportOptions, import_table
from hpcjobs.errors import SettingsError


def test_ranks_give_one_report_and_the_rows_of_one_process(tmp_path: Path) -> None:
    pictures.classes(tmp_path / "photos")
    told = hpcjobs(tmp_path, "data", "import", "photos", "a.h5", "-n", 2, "--size", "4x4")
    assert told.stdout == (
        "a.h5: 8 rows x 4 x 4 x 3 of uint8, id: text, target: class (2 classes), other files passed over: 1\n"
    )
    assert told.stderr == ""
    inspected = json.loads(hpcjobs(tmp_path, "data", "inspect", "a.h5", "--json").stdout)
    assert inspected["record"]


def test_a_mistake_on_ranks_is_told_once(tmp_path: Path) -> None:
    pictures.classes(tmp_path / "photos")
    (tmp_path / "photos/dog/2.png").write_bytes(b"")
    message = refused(tmp_path, "data", "import", "photos", "a.h5", "--ranks=2")
    assert "dog/2.png: damaged, or no image" in message
    assert [entry.name for entry in tmp_path.iterdir() if "a.h5" in entry.name] == []


@pytest.mark.parametrize("words", [["-n", "4"], ["-n4"], ["-n=4"], ["--ranks", "4"], ["--ranks=4"]])
def test_ranks_are_taken_out_of_the_command_that_they_run(words: list[str]) -> None:
    assert _ranks.without_ranks(["a.csv", *words, "b.h5", "-x"]) == ["a.csv", "b.h5", "-x"]


@pytest.mark.parametrize("count", ["0", "two", "9999"])
def test_a_number_of_ranks_that_is_none_is_refused(tmp_path: Path, count: str) -> None:
    with pytest.raises(SettingsError, match=f"-n is '{count}': expected a number of ranks"):
        import_.main(["a.csv", str(tmp_path / "a.h5"), "-n", count])


def test_a_job_has_its_tasks_for_ranks() -> None:
    with pytest.raises(SettingsError, match="the ranks of a job are its tasks; say --ntasks 3"):
        import_.request(["a.csv", "a.h5", "-n", "3"])
    with pytest.raises(SettingsError, match="say --ntasks 3"):
        generate.request("blobs a.h5 --rows 1 --columns 1 --centres 1 -n 3".split())


def test_a_job_finds_its_files_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked = import_.request("a.csv a.h5 --id n --pseudonymise n --key k --drop a,b --drop c".split())
    assert asked["source"] == str(tmp_path / "a.csv")
    assert asked["options"]["key"] == str(tmp_path / "k")
    assert asked["options"]["drop"] == ("a", "b", "c")


@pytest.mark.parametrize(
    ("library", "name", "message"),
    [("PIL", "a.png", r"images need PIL: pip install 'hpcjobs\[imaging\]'"),
     ("pyarrow", "a.parquet", r"Parquet needs pyarrow: pip install 'hpcjobs\[parquet\]'")],
)  # fmt: skip
def test_an_extra_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, name: str, message: str
) -> None:
    (tmp_path / name).write_bytes(b"")
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(SettingsError, match=message):
        import_table(str(tmp_path / name), tmp_path / "a.h5", ImportOptions())
