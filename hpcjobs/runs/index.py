"""The index of runs: a link to each, so that `last`, the beginning of a name and a job's number work from anywhere."""

import hashlib
import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path

from hpcjobs.errors import RunFolderError, nearest
from hpcjobs.runs import submission
from hpcjobs.runs.process import state_folder
from hpcjobs.runs.sweeps import task_folder

NAMED = 5
JOB_ID = re.compile(r"(\d+)(?:_(\d+))?", re.ASCII)


def find(name: str) -> Path:
    """The folder of a run named by path, by `last`, by its name or a unique beginning of it, or by its Slurm job.

    A sweep is found by the number of its array job, one of its tasks by `12_3`.
    """
    path = Path(name)
    if path.is_dir():
        return path.resolve()
    links = _links()
    if name == "last" and links:
        return _last(links)
    number = JOB_ID.fullmatch(name)
    of_job = next(_of_job(links, number[1], number[2] or ""), None) if number else None
    if of_job is not None:
        return of_job
    fitting = [link for link in links if link.name == name]
    if not fitting and not number:  # a mistyped job number must not hit a run whose name begins with it
        fitting = [link for link in links if link.name.startswith(name)]
    fitting = list({link.resolve(): link for link in fitting}.values())  # one run may have had several names
    if len(fitting) == 1:
        return fitting[0].resolve()
    if fitting:
        some = ", ".join(link.name for link in fitting[:NAMED])
        raise RunFolderError(f"{name!r} begins the names of {len(fitting)} runs: {some}")
    if number:
        jobs = ", ".join(itertools.islice(_jobs(links), NAMED))
        raise RunFolderError(
            f"{name}: no run of yours is known to be job {name}; "
            + (f"your newest jobs: {jobs}" if jobs else "none has been submitted yet")
        )
    hint = nearest(name, [link.name for link in links[-NAMED:]]) if links else "no run has been made yet"
    raise RunFolderError(f"{name}: no such run folder, and no run of that name; {hint}")


def _last(links: list[Path]) -> Path:
    """The run named last; not the one before it, when its folder is gone."""
    newest = max(links[-1].parent.iterdir(), key=lambda link: link.lstat().st_mtime_ns)
    if not newest.is_dir():
        raise RunFolderError(f"the last run, {newest.readlink()}, is gone; name another: hpcjobs list shows them")
    return links[-1].resolve()


def runs() -> list[Path]:
    """The folders of all runs and sweeps that are still there, the one made or used last at the end."""
    return list(dict.fromkeys(link.resolve() for link in _links()))


def remember(run: Path) -> None:
    """Make a run the last one. A home that cannot be written is no matter."""
    index = _index()
    if index is None:
        return
    try:
        run = run.resolve()
        index.mkdir(parents=True, exist_ok=True)
        link = index / run.name
        if link.is_symlink() and link.is_dir() and link.resolve() != run:  # a namesake elsewhere
            link = index / f"{run.name}~{hashlib.sha256(os.fsencode(run)).hexdigest()[:4]}"
        link.unlink(missing_ok=True)
        link.symlink_to(run)
    except OSError:
        return


def _of_job(links: list[Path], number: str, task: str) -> Iterator[Path]:
    """Runs that were a job of that number, the newest first: as submitted, then as attempts tell of themselves."""
    for link in reversed(links):
        if f'"{number}"'.encode() in _content(link / "submission.json"):  # few files are worth decoding
            yield from _sent(link.resolve(), number, task)
    wanted = f"{number}_{task}" if task else number
    told = re.compile(rb'"job_id":\s*"%s"' % wanted.encode())
    for link in reversed(links):
        if any(told.search(_content(link / name)) for name in ("lease", "outcome.json")):
            yield link.resolve()


def _sent(run: Path, number: str, task: str) -> Iterator[Path]:
    """The run, or the task of a sweep, that was sent as a job of that number."""
    record = submission.read(run)
    for sent in reversed(record.sent if record else []):
        if sent.job_id != number:
            continue
        if not task:
            yield run
        elif int(task) in submission.indices(sent.array):
            yield run / task_folder(sent.offset + int(task))


def _jobs(links: list[Path]) -> Iterator[str]:
    """Numbers of submitted jobs, the newest first."""
    for link in reversed(links):
        for number in reversed(re.findall(rb'"job_id":\s*"(\d+)"', _content(link / "submission.json"))):
            yield number.decode()


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _links() -> list[Path]:
    """Links to the runs that are still there, the newest last."""
    index = _index()
    if index is None or not index.is_dir():
        return []
    links = [link for link in index.iterdir() if link.is_dir()]
    return sorted(links, key=lambda link: link.lstat().st_mtime_ns)


def _index() -> Path | None:
    folder = state_folder()
    return folder / "runs" if folder else None
