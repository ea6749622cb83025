"""The user's own code: read from the name of a job, copied whole, and not without bound."""

import sys
from pathlib import Path

import pytest

from hpcjobs import jobs
from hpcjobs.errors import SettingsError
from hpcjobs.runs import code, making
from hpcjobs.runs.code import split

JOB = """
import msgspec
class Settings(msgspec.Struct, frozen=True, kw_only=True):
    steps: int = 3
def run(settings, context): ...
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder of the test's own; what it imports is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


def put(path: Path, content: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def copied(job: str) -> set[str]:
    return {str(path) for path in code.sources(job)}


@pytest.mark.parametrize(
    ("name", "file", "attribute"),
    [
        ("./count.py", "count.py", ""),
        ("./count.py:Count", "count.py", "Count"),
        ("/home/me/.pyenv/jobs/count.py:Count", "/home/me/.pyenv/jobs/count.py", "Count"),
        ("/home/me/a.py:b/count.py", "/home/me/a.py:b/count.py", ""),
        ("lab.pyjobs:Name", None, "Name"),
        ("lab.jobs:Name", None, "Name"),
        ("kmeans", None, ""),
        ("/home/me/.pyenv/runs/a", None, ""),
    ],
)
def test_a_file_is_told_from_a_package_by_how_its_name_ends(name: str, file: str | None, attribute: str) -> None:
    assert split(name) == (Path(file) if file else None, attribute)


def test_a_job_is_told_from_a_run_by_its_name(place: Path) -> None:
    (place / "runs.py").mkdir()
    assert [name for name in ("kmeans", "./a.py", "./a.py:B", "a.b:C", "a-b.pyc:D") if not jobs.is_named(name)] == []
    assert [name for name in ("last", "12_3", "runs/count.python-1", "runs.py") if jobs.is_named(name)] == []


def test_a_file_below_a_folder_that_looks_like_one_is_loaded_and_copied(place: Path) -> None:
    put(place / ".pyenv" / "count.py", JOB)
    name = jobs.canonical(".pyenv/count.py")
    assert name == str(place / ".pyenv" / "count.py")
    assert copied(name) == {"count.py"}
    run = making.create(place / ".pyenv" / "run", name, {})
    assert run.job() == name
    code.keep(code.sources(name), run.code)
    making.update(run, code="0" * 64)
    assert run.job() == str(place / ".pyenv" / "run" / "code" / "count.py")
    assert jobs.find(run.job(), run.code).Settings().steps == 3


def test_a_package_whose_name_looks_like_a_file_is_loaded_and_copied(place: Path) -> None:
    put(place / "lab1" / "__init__.py")
    put(place / "lab1" / "pyjobs.py", f"class Name:{JOB.replace(chr(10), chr(10) + '    ')}")
    assert jobs.canonical("lab1.pyjobs:Name") == "lab1.pyjobs:Name"
    assert jobs.find("lab1.pyjobs:Name").Settings().steps == 3
    assert copied("lab1.pyjobs:Name") == {"lab1/__init__.py", "lab1/pyjobs.py"}


def test_a_name_that_is_no_job_is_refused_with_what_was_expected(place: Path) -> None:
    for name in ("./count.py:", "./count.py:bad-name", "lab..jobs:Name"):
        with pytest.raises(SettingsError, match=r"expected \./file\.py:Name or package\.module:Name"):
            jobs.find(name)


def test_every_file_of_a_package_is_copied_but_what_tools_leave_there(place: Path) -> None:
    kept = {"lab2/__init__.py", "lab2/jobs.py", "lab2/weights.csv", "lab2/deep/table.toml", "lab2/deep/kernel.cu"}
    left = ("__pycache__/jobs.cpython-311.pyc", ".git/config", ".jobs.py.swp", "jobs.py~", "#jobs.py#", "CVS/Root")
    for name in (*kept, *(f"lab2/{name}" for name in left)):
        put(place / name)
    (place / "lab2" / "again").symlink_to(place / "lab2")
    put(place / "beside" / "more.py")
    (place / "lab2" / "linked").symlink_to(place / "beside")
    assert copied("lab2.jobs:Name") == kept | {"lab2/linked/more.py"}


def test_a_package_without_init_is_copied_too(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(place / "other" / "lab3" / "tools.py")
    monkeypatch.syspath_prepend(str(place / "other"))
    put(place / "lab3" / "jobs" / "count.py")
    assert copied("lab3.jobs.count:Name") == {"lab3/jobs/count.py"}


def test_a_package_with_data_that_do_not_fit_is_refused(place: Path) -> None:
    put(place / "lab4" / "__init__.py")
    with (place / "lab4" / "data.bin").open("wb") as file:
        file.truncate(code.MOST_MIB * 2**20 + 1)
    with pytest.raises(SettingsError, match=r"lab4 are over 64 MiB; keep data and results outside"):
        code.sources("lab4:Name")


def test_what_cannot_be_read_is_refused(place: Path) -> None:
    with pytest.raises(SettingsError, match=r"gone\.py: cannot be copied into the run: No such file"):
        code.sources(str(place / "gone.py"))
    with pytest.raises(SettingsError, match="no package 'nowhere'"):
        code.sources("nowhere.jobs:Name")
