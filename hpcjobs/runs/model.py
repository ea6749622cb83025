"""The model that a run has left: what of its result is needed to say something of new rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
from numpy.typing import NDArray

from hpcjobs.data import safety
from hpcjobs.data.blocks import BlockFile
from hpcjobs.errors import DataError
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.story import plain


@dataclass(frozen=True)
class Model:
    """Small arrays of a result by their names below `/result`, and where they come from."""

    file: Path
    job: str
    run_uuid: str
    digest: str  # of the result
    arrays: dict[str, NDArray[Any]]


def find_result(path: Path) -> Path:
    """The result of a run folder, or the file itself."""
    if not path.is_dir():
        return path
    folder = RunFolder(path)
    folder.read_settings()  # says what is wrong with a folder that is none
    if not folder.result.exists():
        raise DataError(f"{path}: has no result yet; hpcjobs status {path} tells how it is doing")
    return folder.result


def read_model(path: Path, names: Sequence[str] = ()) -> Model:
    """Some arrays of a result, those that are there; DataError for a file that is none of a finished run.

    The name of a group stands for its arrays, `parameters/conv_1_weights`.
    """
    with BlockFile(path) as raw, safety.open_hdf5(raw, path) as file, safety.parsing(path):
        facts = {name: plain(file.attrs[name]) for name in ("kind", "job", "run_uuid") if name in file.attrs}
        if raw.record is None or facts.get("kind") != "result":
            found = facts.get("kind", "a file of another program")
            raise DataError(f"{path}: is no result of a run ({found}); name a run folder or its result.h5")
        arrays = {}
        for name in _arrays(file["result"], names):
            dataset = safety.get(file, path, f"/result/{name}")
            safety.check_dataset(dataset, path, f"/result/{name}", raw.size)
            arrays[name] = dataset[()]
        return Model(path, facts["job"], facts["run_uuid"], plain(file.attrs["result_digest"]), arrays)


def _arrays(group: h5py.Group, names: Sequence[str]) -> list[str]:
    """The names of data sets, those in groups too."""
    found: list[str] = []
    for name in names:
        if isinstance(group.get(name), h5py.Group):
            found += [f"{name}/{part}" for part in group[name] if isinstance(group[name].get(part), h5py.Dataset)]
        elif name in group:
            found.append(name)
    return found
