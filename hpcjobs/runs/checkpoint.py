"""Checkpoints: whole files of small state, the newest three kept, the newest whole one resumed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data import safety
from hpcjobs.data.blocks import BlockFile
from hpcjobs.data.schema import Contents, Variable
from hpcjobs.errors import DataError
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.history import History

KEPT = 3
State = dict[str, NDArray[Any]]


def contents(
    job: str,
    run_uuid: str,
    step: int,
    state: Mapping[str, NDArray[Any]],
    history: History,
    extra: Mapping[str, Variable],
) -> Contents:
    """The file of one checkpoint. `state` holds arrays of numbers that are equal on all ranks."""
    variables = {"/state/step_done": Variable((), np.array(step, dtype=np.int64), "steps done")}
    for name, array in state.items():
        axes = tuple(f"{name}_axis{axis}" for axis in range(array.ndim))
        variables[f"/state/{name}"] = Variable(axes, array, name.replace("_", " "))
    variables |= history.variables() | dict(extra)
    return Contents("checkpoint", f"{job} after step {step}", variables, job, run_uuid)


def newest(folder: RunFolder) -> tuple[Path | None, list[str]]:
    """The newest checkpoint that is whole, and a warning for each damaged one passed over."""
    warnings: list[str] = []
    for path in sorted(folder.checkpoints.glob("step-*.h5"), reverse=True):
        try:
            with BlockFile(path) as raw:
                if raw.record is None:
                    raise DataError(f"{path}: has no commit record")
                raw.verify_all()
            return path, warnings
        except DataError as error:
            warnings.append(f"passing over a damaged checkpoint: {error}")
    return None, warnings


@dataclass(frozen=True)
class Saved:
    """What a checkpoint holds."""

    step: int
    state: State
    history: History
    inputs: State
    run_uuid: str
    settings: dict[str, Any]
    numerics: dict[str, Any]


def load(path: Path) -> Saved:
    """Read a checkpoint back."""
    with BlockFile(path) as raw, safety.open_hdf5(raw, path) as file:
        state = {name: np.asarray(item[()]) for name, item in file["state"].items() if not _scale(name)}
        history = History()
        if "history" in file:
            columns = {name: item[()] for name, item in file["history"].items()}
            history.restore(columns.pop("step"), columns)
        inputs, settings, numerics = {}, {}, {}
        if "provenance/inputs" in file:
            inputs = {name: item[()] for name, item in file["provenance/inputs"].items()}
        if "provenance/settings" in file:
            settings = json.loads(file["provenance/settings"][()])
        if "provenance/numerics" in file:
            numerics = json.loads(file["provenance/numerics"][()])
        run_uuid = file.attrs["run_uuid"]
        uuid = run_uuid.decode().strip() if isinstance(run_uuid, bytes) else str(run_uuid)
        return Saved(int(state.pop("step_done")), state, history, inputs, uuid, settings, numerics)


def _scale(name: str) -> bool:
    return "_axis" in name


def prune(folder: RunFolder) -> None:
    """Remove all but the newest checkpoints."""
    for path in sorted(folder.checkpoints.glob("step-*.h5"), reverse=True)[KEPT:]:
        path.unlink(missing_ok=True)
