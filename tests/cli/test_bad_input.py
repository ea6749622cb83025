"""Users' mistakes: one message that names what, where and what to do; exit code 2; nothing left behind."""

import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from command import hpcjobs, refused

from hpcjobs.cli.run import parser
from hpcjobs.errors import UserError
from hpcjobs.jobs import kmeans as job
from hpcjobs.settings import build, fields


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A foreign file with rows, features and a few things that do not fit."""
    path = tmp_path / "data.h5"
    rows = np.random.default_rng(0).normal(size=(40, 3))
    with h5py.File(path, "w") as file:
        file["rows"] = rows
        file["one_axis"] = rows[:, 0]
        file["empty"] = np.empty((0, 3))
        file["text"] = np.array([[b"a", b"b"], [b"c", b"d"]])
        file["integers"] = np.arange(80).reshape(40, 2)
        file["short"] = np.ones(39)
        file["negative"] = -np.ones(40)
        file["nothing"] = np.zeros(40)
        missing, infinite = rows.copy(), rows.copy()
        missing[[7, 31], 1] = np.nan
        infinite[12, 0] = np.inf
        file["missing"] = missing
        file["infinite"] = infinite
        file["huge"] = rows * 1e200
        file["far"] = np.array([[0, 0, 0], [0, np.inf, 0], [1, 1, 1.0]])
        file["start"] = rows[:3]
        file["halves"] = np.arange(40) / 2
        zeros = rows.copy()
        zeros[13] = 0
        file["zeros"] = zeros
        file.create_group("folder")
    return path


def kmeans(cwd: Path, data: object, *flags: object) -> str:
    message = refused(cwd, "run", "kmeans", "--data", data, "--clusters", 3, *flags)
    return message


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("data.h5:/one_axis", ["/one_axis", "(40,)", "rows x features"]),
        ("data.h5:/empty", ["/empty", "empty", "(0, 3)"]),
        ("data.h5:/text", ["/text", "not numbers"]),
        ("data.h5:/integers", ["/integers", "int64", "hpcjobs data import"]),
        ("data.h5:/roes", ["/roes", "did you mean 'rows'?"]),
        ("data.h5:/folder", ["/folder", "group"]),
        ("data.h5", ["data.h5:/infinite (40, 3)", "say which"]),
        ("absent.h5", ["absent.h5", "no such file", "looked in"]),
        ("absent", ["absent", "no such file", "looked in"]),
        ("data.h5:rows", ["data.h5:rows: no such file", "did you mean", "data.h5:/rows?"]),
        ("", ["--data is empty", "FILE.h5:/path"]),
        (".", ["folder"]),
        ("data.h5:/missing", ["row 7", "row 31", "NaN", "--missing omit"]),
        ("data.h5:/infinite", ["row 12", "infinite"]),
        ("data.h5:/huge", ["/huge", "beyond", "overflow", "scale"]),
    ],
)
def test_data_that_do_not_fit_are_named(data: Path, name: str, words: list[str]) -> None:
    message = kmeans(data.parent, name)
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--clusters", "0"], ["--clusters", "0", ">= 1"]),
        (["--clusters", "41"], ["--clusters", "41", "40 rows"]),
        (["--clusters", "many"], ["--clusters", "'many'", "whole number"]),
        (["--clusters", ""], ["--clusters", "''", "whole number"]),
        (["--max-iterations", "99999999999999999999"], ["--max-iterations", "<= 2147483647"]),
        (["--seed", "99999999999999999999"], ["--seed", "<= 9223372036854775807"]),
        (["--device", "0"], ["unknown flag --device", "known: --"]),
        (["--cluster", "3"], ["--cluster", "did you mean '--clusters'?"]),
        (["--tolerance", "-1"], ["--tolerance", ">= 0"]),
        (["--tolerance", "-1e-3"], ["--tolerance", ">= 0"]),
        (["--tolerance", "nan"], ["--tolerance", "nan"]),
        (["--tolerance", "inf"], ["--tolerance", "finite"]),
        (["--weights", ""], ["--weights is empty"]),
        (["--init", "kmeans++"], ["--init", "'kmeans++'", "k-means++"]),
        (["--init", "data.h5:/rows"], ["--init", "(40, 3)", "(3, 3)"]),
        (["--init", "data.h5:/far"], ["/far", "centre 1", "not finite"]),
        (["--missing", "drop"], ["--missing", "'drop'", "omit"]),
        (["--weights", "data.h5:/short"], ["--weights", "39", "40 rows"]),
        (["--weights", "data.h5:/negative"], ["/negative", "negative", "row 0"]),
        (["--weights", "data.h5:/nothing"], ["--weights", "every weight is 0"]),
        (["--clusters", "5:2"], ["--clusters", "'5:2'", "FIRST:END", "from 1"]),
        (["--clusters", "1:2147483647"], ["--clusters is 1:2147483647", "40 rows"]),
        (["--truth", "data.h5:/halves"], ["/halves", "no whole number", "row 1", "number the classes"]),
        (["--data", "data.h5:/zeros"], ["--data is given twice", "hpcjobs data join"]),
        (["-n", "0"], ["-n", "'0'"]),
        (["-n", "two"], ["-n", "'two'"]),
        (["surplus.toml", "more"], ["more"]),
    ],
)
def test_settings_that_do_not_fit_are_named(data: Path, flags: list[str], words: list[str]) -> None:
    message = kmeans(data.parent, "data.h5:/rows", *flags)
    assert all(word in message for word in words), message


def test_a_row_without_a_direction_is_named(data: Path) -> None:
    message = kmeans(data.parent, "data.h5:/zeros", "--metric", "cosine")
    assert all(word in message for word in ("/zeros", "row 13", "no direction")), message


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--clusters", "5:2"], ["--clusters", "'5:2'", "FIRST:END", "from 1"]),
        (["--clusters", "3:3"], ["--clusters", "'3:3'", "FIRST:END"]),
        (["--clusters", "0:3"], ["--clusters", "'0:3'", "FIRST:END", "from 1"]),
        (["--clusters", "2:99999"], ["--clusters is 2:99999", "40 rows"]),
        (["--clusters", "1:2147483647"], ["--clusters is 1:2147483647", "40 rows"]),
        (["--clusters", "1:99999999999"], ["--clusters", "FIRST:END", "2147483647"]),
        (["--clusters", "1:" + "9" * 5000], ["--clusters", "whole number"]),
        (["--clusters", "2:9:0"], ["--clusters", "'2:9:0'", "whole number"]),
        (["--clusters=-2:3"], ["--clusters", "'-2:3'"]),
        (["--clusters", "2:4", "--init", "data.h5:/start"], ["--init", "one number of clusters", "'2:4'"]),
        (["--init", "data.h5:/start", "--restarts", "2"], ["--restarts", "every start would be the same"]),
        (["--outliers", "0"], ["--outliers", "'0'", "0.1%"]),
        (["--outliers", "100%"], ["--outliers", "'100%'", "0.1%"]),
        (["--outliers", "150%"], ["--outliers", "'150%'", "0.1%"]),
        (["--outliers", "x"], ["--outliers", "'x'", "0.1%"]),
        (["--outliers=-1%"], ["--outliers", "'-1%'", "0.1%"]),
        (["--outliers", "nan"], ["--outliers", "'nan'", "0.1%"]),
        (["--memory", "0"], ["--memory is 0", "room"]),
        (["--memory", "x"], ["--memory", "'x'", "500MB"]),
        (["--memory=-1GB"], ["--memory", "'-1GB'", "500MB"]),
        (["--batch-size", "41"], ["--batch-size is 41", "40 rows"]),
        (["--batch-size", "-1"], ["--batch-size", ">= 0"]),
        (["--batch-size", "all"], ["--batch-size", "'all'", "whole number"]),
        (["--scale", "standrad"], ["--scale", "'standrad'", "standard"]),
        (["--metric", "cosinus"], ["--metric", "'cosinus'", "cosine"]),
        (["--init", "k-means||"], ["--init", "'k-means||'", "k-means-parallel"]),
        (["--truth", ""], ["--truth is empty"]),
        (["--truth", "data.h5:/short"], ["--truth", "39", "40 rows"]),
        (["--truth", "data.h5:/rows"], ["/rows", "(40, 3)", "one value a row"]),
        (["--truth", "data.h5:/text"], ["/text", "not numbers"]),
    ],
)
def test_options_that_do_not_fit_are_found_without_reading_the_rows(
    data: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], words: list[str]
) -> None:
    monkeypatch.chdir(data.parent)
    declared = fields(job.Settings)
    with pytest.raises(UserError) as told:
        given = vars(parser("kmeans", job).parse(["--data", "data.h5:/rows", "--clusters", "3", *flags]))
        settings: Any = build(job.Settings, None, {name: given[name] for name in given if name in declared})
        job.check(settings)
    assert all(word in str(told.value) for word in words), told.value


def test_nothing_is_left_behind_by_a_refused_command(data: Path) -> None:
    kmeans(data.parent, "data.h5:/rows", "--clusters", 99)
    assert not (data.parent / "runs").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file_is_named(data: Path) -> None:
    data.chmod(0)
    assert "no permission" in kmeans(data.parent, "data.h5:/rows")


def test_unknown_toml_key_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text("cluster = 3\n")
    message = refused(tmp_path, "run", "kmeans", "job.toml")
    assert "job.toml" in message
    assert "did you mean 'clusters'?" in message


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("clusters = ", "TOML"),
        ("clusters = 'x'", "job.toml: clusters"),
        ("clusters = 3\noutliers = 0.01", "job.toml: outliers is 0.01: expected str"),
        ("clusters = '3:2'", "FIRST:END"),
    ],
)
def test_a_wrong_toml_file_is_named(data: Path, content: str, word: str) -> None:
    (data.parent / "job.toml").write_text(content)
    assert word in refused(data.parent, "run", "kmeans", "job.toml", "--data", data)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rum"], ["'rum'", "did you mean 'run'?"]),
        (["run", "kmean"], ["'kmean'", "did you mean 'kmeans'?"]),
        (["run", "./absent.py:Job"], ["absent.py", "no such file"]),
        (["data", "improt"], ["did you mean 'import'?"]),
        (["show", "nothing-here"], ["nothing-here"]),
        (["resume", "nothing-here"], ["nothing-here"]),
        (["resume", "."], ["settings.json"]),
        (["data", "import", "table.xyz", "out.h5"], ["table.xyz"]),
        (["data", "import", "example:digit.csv", "out.h5"], ["did you mean 'digits.csv'?"]),
        (
            ["data", "generate", "blobs", "o.h5", "--rows", "0", "--columns", "1", "--centres", "1"],
            ["--rows"],
        ),
        (
            ["data", "generate", "blobs", "o.h5", "--rows", "1_000", "--columns", "1", "--centres", "1"],
            ["--rows", "expected a whole number, found '1_000'"],
        ),
        (
            ["data", "generate", "blobs", "no/o.h5", "--rows", "9", "--columns", "1", "--centres", "1"],
            ["no folder"],
        ),
    ],
)
def test_wrong_commands_say_what_would_be_right(tmp_path: Path, arguments: list[str], words: list[str]) -> None:
    message = refused(tmp_path, *arguments)
    assert all(word in message for word in words), message


def test_a_damaged_file_of_ours_is_refused_before_use(tmp_path: Path) -> None:
    blobs = ["data", "generate", "blobs", "b.h5", "--rows", 5000, "--columns", 4, "--centres", 3]
    hpcjobs(tmp_path, *blobs)
    path = tmp_path / "b.h5"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert "damaged" in kmeans(tmp_path, "b.h5")
    hpcjobs(tmp_path, "data", "generate", "blobs", "good.h5", "--rows", "1e2", "--columns", 4, "--centres", 3)
    verified = hpcjobs(tmp_path, "data", "verify", "b.h5", "good.h5", code=2)
    bad, good = verified.stdout.splitlines()
    assert "damaged" in bad
    assert good.startswith("good.h5: whole")
    assert "damaged or unreadable: 1 of 2 files (b.h5)" in verified.stderr
    told = hpcjobs(tmp_path, "data", "verify", "--json", "b.h5", "good.h5", code=2).stdout.splitlines()
    assert ["problem" in json.loads(line) for line in told] == [True, False]
    path.write_bytes(content[:-100])
    assert "truncated" in kmeans(tmp_path, "b.h5")


def test_hostile_files_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["x"] = h5py.ExternalLink("/etc/passwd", "/x")
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout((10, 2), dtype="f8")
        layout[:] = h5py.VirtualSource("absent.h5", "x", shape=(10, 2))
        file.create_virtual_dataset("x", layout)
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        file.create_dataset("x", shape=(2**40, 4), dtype="f8", chunks=(1024, 4))
    for name, word in (("link", "external link"), ("virtual", "absent.h5"), ("bomb", "shape bomb")):
        assert word in kmeans(tmp_path, f"{name}.h5:/x")
