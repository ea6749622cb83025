"""A sweep: one array job over the product of some settings, each task a run of its own."""

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from hpcjobs import settings
from hpcjobs.data.publish import publish_bytes
from hpcjobs.errors import RunFolderError, SettingsError, nearest
from hpcjobs.launch.preparing import Place, wanted
from hpcjobs.launch.submitting import Batch
from hpcjobs.launch.watch.truth import look
from hpcjobs.runs import code, making, submission
from hpcjobs.runs.index import remember
from hpcjobs.runs.making import label_of

RANGE = re.compile(r"(-?\d+):(-?\d+)(?::(-?[1-9]\d*))?", re.ASCII)
MOST = 100_000


class Task(msgspec.Struct, frozen=True):
    """One run of a sweep."""

    index: int
    folder: str
    settings: dict[str, Any]  # what it does not share with the others


class Sweep(msgspec.Struct, frozen=True):
    """What `sweep.json` holds."""

    job: str
    tasks: list[Task]
    name: str = ""
    tags: list[str] = []


def grid(axes: Sequence[str], known: Mapping[str, Any]) -> list[dict[str, str]]:
    """The flags of every task of `clusters=8,16 seed=0:4`: the product, the last axis fastest.

    A range is Python's: `0:4` is 0, 1, 2, 3, and `0:10:5` is 0, 5.
    """
    found: dict[str, list[str]] = {}
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
        bounds = [int(part) for part in span.groups() if part] if span else []
        values = [str(number) for number in range(*bounds)] if bounds else text.split(",")
        if not values or "" in values:
            raise SettingsError(f"--sweep {axis!r}: has no values, or an empty one")
        found[name] = values
    tasks = [dict(zip(found, values, strict=True)) for values in itertools.product(*found.values())]
    if len(tasks) > MOST:
        raise SettingsError(f"--sweep: {len(tasks)} tasks; at most {MOST}")
    return tasks


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
        Task(index, task_folder(index), {key: own[key] for key in task})
        for index, (task, own) in enumerate(zip(swept, values, strict=True))
    ]
    path = (place.out or making.default_path(f"{place.name or label_of(name)}-sweep")).absolute()
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
    write(ready.path, ready.sweep)
    remember(ready.path)


def task_folder(index: int) -> str:
    """The folder of a task; the scripts make the same name from SLURM_ARRAY_TASK_ID."""
    return f"task-{index:05d}"


def write(path: Path, sweep: Sweep) -> None:
    """Publish what a sweep consists of."""
    publish_bytes(path / "sweep.json", (json.dumps(msgspec.to_builtins(sweep), indent=2) + "\n").encode())


def read(path: Path) -> Sweep | None:
    """The sweep of a folder; None where there is none."""
    file = path / "sweep.json"
    try:
        return msgspec.json.decode(file.read_bytes(), type=Sweep)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, OSError) as error:
        raise RunFolderError(f"{file}: damaged: {error}; restore it, or start a new sweep") from None


def to_send(path: Path, sweep: Sweep, *, unfinished: bool) -> list[int]:
    """The tasks that ended without a result and were not cancelled; with `unfinished`, all that are not going on."""
    verdicts = look([path / task.folder for task in sweep.tasks])
    return [
        task.index
        for task, found in zip(sweep.tasks, verdicts, strict=True)
        if (found.ended and found.state != "done" and (unfinished or found.state != "cancelled"))
        or (unfinished and found.state == "not started")
    ]


def batches(tasks: Sequence[int], size: int, at_once: int | None = None) -> list[Batch]:
    """Array jobs for some tasks: the site's MaxArraySize bounds the largest index, so each batch has an offset."""
    limit = f"%{at_once}" if at_once else ""
    groups = itertools.groupby(sorted(tasks), key=lambda task: task // size)
    return [
        Batch(submission.ranges([task - group * size for task in some]) + limit, group * size) for group, some in groups
    ]
