"""Making a run folder: who may read it, one path for each run, nothing made where somebody else could trap it."""

import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hpcjobs.cli.resume import prepare as prepare_resume
from hpcjobs.errors import RunFolderError
from hpcjobs.jobs import find as find_job
from hpcjobs.launch.detached import LOG, detach
from hpcjobs.launch.preparing import Place, keep_own_code, prepare
from hpcjobs.runs import code, making
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.index import find, runs

JOB = """
from typing import Annotated
import msgspec
from hpcjobs.settings import setting
class Settings(msgspec.Struct, frozen=True, kw_only=True):
    steps: Annotated[int, setting("how far", extendable=True)] = 3
def run(settings, context): ...
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder and an index of the test's own; the umask is put back."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    before = os.umask(0o022)
    yield tmp_path
    os.umask(before)


@pytest.fixture
def file(place: Path) -> Path:
    (place / "count.py").write_text(JOB)
    return place / "count.py"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def made(file: Path, out: Path, *, keep_code: bool) -> RunFolder:
    job: Any = find_job(str(file))
    return prepare(str(file), job, {"steps": 3}, Place(out), keep_code=keep_code)


def test_a_shared_run_is_reached_through_folders_that_a_private_one_made(place: Path) -> None:
    making.private()
    mine = making.create(place / "deep" / "runs" / "mine", "kmeans", {})
    making.private("group")
    ours = making.create(place / "deep" / "runs" / "ours", "kmeans", {}, share="group")
    assert (mode(mine.path), mode(ours.path), mode(ours.settings)) == (0o700, 0o750, 0o640)
    assert {mode(place / "deep"), mode(place / "deep" / "runs")} == {0o711}  # to pass through, not to list


def test_a_folder_made_on_the_way_keeps_the_group_of_its_project(place: Path) -> None:
    (place / "project").mkdir()
    (place / "project").chmod(0o2750)
    making.create(place / "project" / "runs" / "a", "kmeans", {})
    assert mode(place / "project" / "runs") == 0o2711


def test_a_sweep_is_as_private_as_its_tasks(place: Path) -> None:
    making.create(place / "sweep" / "task-00000", "kmeans", {}, listed=False)
    making.create(place / "shared" / "task-00000", "kmeans", {}, listed=False, share="group")
    assert (mode(place / "sweep"), mode(place / "shared")) == (0o700, 0o750)


def test_a_shared_run_stays_readable_when_it_is_resumed(file: Path, place: Path) -> None:
    making.private("group")
    run = making.create(place / "run", str(file), {"steps": 3}, share="group")
    making.private()
    prepare_resume(str(run.path), ["--steps", "5"])
    assert run.read_settings()["settings"] == {"steps": 5}
    assert mode(run.settings) == 0o640


@pytest.mark.parametrize(("share", "expected"), [("", 0o600), ("group", 0o640)])
def test_the_log_of_a_run_in_the_background_is_read_by_those_who_may_read_the_run(
    place: Path, monkeypatch: pytest.MonkeyPatch, share: str, expected: int
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("true"))
    making.private(share)
    run = making.create(place / "run", "kmeans", {}, share=share)
    detach(run, None)
    assert mode(run.path / LOG) == expected


def test_a_run_has_one_path_and_one_name_whatever_links_lead_to_it(place: Path) -> None:
    (place / "scratch").mkdir()
    (place / "link").symlink_to(place / "scratch")
    run = making.create(place / "link" / "run", "kmeans", {})
    assert run.path == place / "scratch" / "run"
    (place / "state" / "hpcjobs" / "runs" / "run-old").symlink_to(place / "link" / "run")  # as an older version did
    assert find("last") == find("run") == find("ru") == find(str(place / "link" / "run")) == run.path
    assert runs() == [run.path]


def test_namesakes_elsewhere_have_names_of_their_own(place: Path) -> None:
    first, second = (making.create(place / folder / "run", "kmeans", {}).path for folder in "ab")
    assert find("run") == first
    assert find("last") == second
    making.create(place / "c" / "other", "kmeans", {})
    assert runs()[:2] == [first, second]


def test_links_that_lead_in_a_circle_are_refused(place: Path) -> None:
    (place / "a").symlink_to(place / "b")
    (place / "b").symlink_to(place / "a")
    with pytest.raises(RunFolderError, match="in a circle"):
        making.create(place / "a" / "run", "kmeans", {})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a link away")
def test_nothing_is_made_behind_a_link_of_somebody_else(place: Path) -> None:
    (place / "open").mkdir()
    (place / "open").chmod(0o1777)
    (place / "theirs").mkdir()
    (place / "open" / "link").symlink_to(place / "theirs")
    os.chown(place / "open" / "link", 65534, 65534, follow_symlinks=False)
    with pytest.raises(RunFolderError, match="open/link: belongs to another user"):
        making.create(place / "open" / "link" / "deep" / "run", "kmeans", {})
    assert list((place / "theirs").iterdir()) == []


def test_a_run_made_here_keeps_its_code_when_it_is_submitted(file: Path, place: Path) -> None:
    run = made(file, place / "run", keep_code=False)
    assert (run.job(), run.read_settings()["code"]) == (str(file), "")
    assert made(file, place / "run", keep_code=True) == run
    assert run.job() == str(run.code / "count.py")
    assert run.read_settings()["code"] == code.digest(code.sources(str(file)))
    file.write_text(f"{JOB}\nchanged = True\n")
    keep_own_code(run)  # what is kept stays
    assert (run.code / "count.py").read_text() == JOB


def test_an_installed_job_has_no_code_to_keep(place: Path) -> None:
    run = making.create(place / "run", "kmeans", {})
    before = run.settings.read_bytes()
    keep_own_code(run)
    assert run.settings.read_bytes() == before
    assert not run.code.exists()


def test_a_start_that_is_killed_while_code_is_copied_leaves_no_word_of_it(
    file: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(code, "keep", killed)
        with pytest.raises(KeyboardInterrupt):
            made(file, place / "run", keep_code=True)
    assert RunFolder(place / "run").read_settings()["code"] == ""
    assert made(file, place / "run", keep_code=True).job() == str(place / "run" / "code" / "count.py")
