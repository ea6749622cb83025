"""A sweep: one array job over the product of some settings, each task a run of its own."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpcjobs import settings
from hpcjobs.errors import RunFolderError, SettingsError, SlurmError, nearest
from hpcjobs.launch.preparing import Place, wanted
from hpcjobs.launch.slurm import command
from hpcjobs.launch.submitting import Batch, refuse_running
from hpcjobs.launch.watch.truth import look
from hpcjobs.runs import code, making, submission, sweeps
from hpcjobs.runs.index import remember
from hpcjobs.runs.making import label_of
from hpcjobs.runs.sweeps import Sweep, Task, home

RANGE = re.compile(r"(-?\d+):(-?\d+)(?::(-?[1-9]\d*))?", re.ASCII)
MOST = 100_000


def grid(axes: Sequence[str], known: Mapping[str, Any]) -> list[dict[str, str]]:
    """The flags of every task of `clusters=8,16 seed=0:4`: the product, the last axis fastest.

    A range is Python's: `0:4` is 0, 1, 2, 3, and `0:10:5` is 0, 5.
    """
    found: dict[str, list[str]] = {}
    total = 1
    for axis in axes:
        name, mark, text = axis.partition("=")
        name = name.removeprefix("--").replace("-", "_")
        if not mark or not text:
            raise SettingsError(f"--sweep {axis!r}: expected SETTING=VALUE,VALUE,... or SETTING=FIRST:END")
        if name not in known:
            raise SettingsError(f"--sweep {axis!r}: unknown setting; {nearest(name, known)}")
        if name in found:
            raise SettingsError(f"--sweep {axis!r}: {name} is swept twice; give all its values at once")
        span = RANGE.fullmatch(text)
        numbers = range(*(int(part) for part in span.groups() if part)) if span else range(0)
        total *= len(numbers) if span else text.count(",") + 1
        if total > MOST:
            raise SettingsError(f"--sweep {axis!r}: makes {total} tasks; at most {MOST}")
        found[name] = [str(number) for number in numbers] if span else text.split(",")
        if not found[name] or "" in found[name]:
            raise SettingsError(f"--sweep {axis!r}: has no values, or an empty one")
    return [dict(zip(found, values, strict=True)) for values in itertools.product(*found.values())]


@dataclass(frozen=True)
class Plan:
    """A sweep before anything is made of it."""

    path: Path
    sweep: Sweep
    values: list[dict[str, Any]]  # the settings of each task


def plan(name: str, job: Any, toml: Path | None, flags: Mapping[str, Any], axes: Sequence[str], place: Place) -> Plan:
    """Every task with its settings checked."""
    swept = grid(axes, settings.fields(job.Settings))
    values = [wanted(job, toml, dict(flags) | task) for task in swept]
    tasks = [
        Task(index, sweeps.task_folder(index), {key: own[key] for key in task})
        for index, (task, own) in enumerate(zip(swept, values, strict=True))
    ]
    path = making.resolved(place.out or making.default_path(f"{place.name or label_of(name)}-sweep"))
    if path.exists() and not making.is_blank(path):
        raise RunFolderError(
            f"{path}: exists; name a new folder with --out, or `hpcjobs submit {path} --only unfinished`"
        )
    return Plan(path, Sweep(name, tasks, place.name, list(place.tags)), values)


def make(ready: Plan, place: Place) -> None:
    """The folder of the sweep, and in it that of every task."""
    making.private(place.share)
    own = code.sources(ready.sweep.job)
    for task, values in zip(ready.sweep.tasks, ready.values, strict=True):
        folder = making.create(
            ready.path / task.folder,
            ready.sweep.job,
            values,
            name=place.name,
            tags=place.tags,
            share=place.share,
            code=code.digest(own),
            listed=False,
        )
        code.keep(own, folder.code)
    sweeps.write(ready.path, ready.sweep)
    remember(ready.path)


def to_send(path: Path, sweep: Sweep, *, unfinished: bool) -> list[int]:
    """The tasks that ended without a result and were not cancelled; with `unfinished`, all that are not going on."""
    verdicts = look([path / task.folder for task in sweep.tasks])
    return [
        task.index
        for task, found in zip(sweep.tasks, verdicts, strict=True)
        if (found.ended and found.state != "done" and (unfinished or found.state != "cancelled"))
        or (unfinished and found.state == "not started")
    ]


def refuse_going(task: Path) -> None:
    """Refuse to send a task that is going on."""
    (found,) = look([task])
    if not found.ended and found.state != "not started":
        raise SlurmError(f"{task}: is {found.state} as job {found.job_id}; end it first: hpcjobs cancel {found.job_id}")


def refuse_queued(run: Path) -> None:
    """Refuse to start here what Slurm still has."""
    record = submission.read(home(run))
    if record and command.available():
        if home(run) == run:
            refuse_running(run, record)
        else:
            refuse_going(run)


def batches(tasks: Sequence[int], size: int, at_once: int | None = None) -> list[Batch]:
    """Array jobs for some tasks: the site's MaxArraySize bounds the largest index, so each batch has an offset.

    `at_once` is shared out among the arrays, each of which gets at least one.
    """
    groups = {group: list(some) for group, some in itertools.groupby(sorted(tasks), key=lambda task: task // size)}
    limit = f"%{max(1, at_once // len(groups))}" if at_once else ""
    return [
        Batch(submission.ranges([task - group * size for task in some]) + limit, group * size)
        for group, some in groups.items()
    ]
