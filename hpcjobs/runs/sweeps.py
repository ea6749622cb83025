"""The folder of a sweep: `sweep.json` says what it consists of, and each task is a run folder in it."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec

from hpcjobs.data.publish import publish_bytes
from hpcjobs.errors import RunFolderError

FILE = "sweep.json"
TASK = re.compile(r"task-\d{5,}", re.ASCII)


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


def task_folder(index: int) -> str:
    """The folder of a task; the scripts make the same name from SLURM_ARRAY_TASK_ID."""
    return f"task-{index:05d}"


def write(path: Path, sweep: Sweep) -> None:
    """Publish what a sweep consists of."""
    publish_bytes(path / FILE, (json.dumps(msgspec.to_builtins(sweep), indent=2) + "\n").encode())


def read(path: Path) -> Sweep | None:
    """The sweep of a folder; None where there is none."""
    file = path / FILE
    try:
        return msgspec.json.decode(file.read_bytes(), type=Sweep)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, OSError) as error:
        raise RunFolderError(f"{file}: damaged: {error}; restore it, or start a new sweep") from None


def home(run: Path) -> Path:
    """The folder that a run is sent from: of a task that of its sweep, else its own."""
    return run.parent if TASK.fullmatch(run.name) and (run.parent / FILE).exists() else run


def number(task: Path) -> int:
    """The number of a task, by the name of its folder."""
    return int(task.name.rpartition("-")[2])
