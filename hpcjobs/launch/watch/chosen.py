"""Which runs a command is about: a run, a sweep with its tasks, a Slurm job, `last`, or everything there is."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hpcjobs.errors import RunFolderError
from hpcjobs.runs import submission, sweeps
from hpcjobs.runs.index import JOB_ID, find, runs

NAMES = "run folder, its name or the beginning of it, Slurm job, sweep, or `last`"


@dataclass(frozen=True)
class Chosen:
    """A run, or a sweep and those of its tasks that are meant."""

    path: Path
    tasks: tuple[Path, ...] = ()

    @property
    def runs(self) -> tuple[Path, ...]:
        """The runs themselves."""
        return self.tasks or (self.path,)


def choose(names: Sequence[str]) -> list[Chosen]:
    """What the user has named, or the last run."""
    return list(dict.fromkeys(_chosen(name) for name in names or ["last"]))


def everything() -> list[Chosen]:
    """Every run and sweep of the user's, the newest first; what is no longer one is passed over."""
    found = []
    for path in reversed(runs()):
        try:
            found.append(_in(path))
        except RunFolderError:
            continue
    return found


def _chosen(name: str) -> Chosen:
    path = find(name)
    found = _in(path)
    if found.tasks and JOB_ID.fullmatch(name) and not Path(name).is_dir():
        record = submission.read(path)  # one array job of several that the sweep was split into
        numbers = {
            sent.offset + index
            for sent in (record.sent if record else [])
            if sent.job_id == name
            for index in submission.indices(sent.array)
        }
        meant = {sweeps.task_folder(number) for number in numbers}
        return Chosen(path, tuple(task for task in found.tasks if task.name in meant) or found.tasks)
    return found


def _in(path: Path) -> Chosen:
    plan = sweeps.read(path)
    if plan is not None and plan.tasks:
        return Chosen(path, tuple(path / task.folder for task in plan.tasks))
    if not (path / "settings.json").exists():
        raise RunFolderError(
            f"{path}: not a run folder (no settings.json in it), and no sweep; `hpcjobs list` names your runs"
        )
    return Chosen(path)
