"""Which data sets of a file belong to its samples."""

from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np

from hpcjobs.data import safety
from hpcjobs.data.blocks import BlockFile
from hpcjobs.data.inspect import attribute
from hpcjobs.data.samples import Column, Samples
from hpcjobs.data.schema import Variable
from hpcjobs.data.source import locate_rows, split_name
from hpcjobs.errors import DataError

AXES = {1: ("id",), 2: ("id", "feature"), 3: ("id", "row", "column"), 4: ("id", "row", "column", "channel")}


def locate_samples(argument: str, folder: str = "/data") -> Samples:
    """The samples of a file of ours, or those of `FILE.h5:/path` and whatever lies beside it with as many rows.

    `folder` is the group to look in, in a file of ours. What `/path` names becomes `x`. No row is read.
    """
    path, name = split_name(argument)
    with BlockFile(path) as raw, safety.open_hdf5(raw, path) as file, safety.parsing(path):
        ours = attribute(file, "hpcjobs_schema") is not None and (name is None or name.startswith(f"{folder}/"))
        anchor = locate_rows(f"{path}:{folder}/id" if ours else argument)
        group = anchor.name.rpartition("/")[0]
        axis = _scale(file[anchor.name], 0)
        columns: dict[str, Column] = {}
        others: dict[str, Column | Variable] = {}
        for found, dataset in safety.datasets(file, path):
            inside, _, own = found.rpartition("/")
            if inside == group and _of_rows(dataset, anchor.rows, axis):
                known = "x" if found == anchor.name and not ours else own
                if known in columns:
                    raise DataError(f"{path}: {found} and {anchor.name} would both become /data/x; rename {found}")
                columns[known] = _column(path, dataset, found, known)
            elif ours and dataset.shape is not None:
                safety.check_dataset(dataset, path, found, raw.size)
                others[found] = _other(path, dataset, found)
        if "id" not in columns:
            meaning = "row of the source, counted from 0"
            columns["id"] = Column(None, (anchor.rows,), np.dtype(np.int64), ("id",), meaning)
        changed = datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        title, created = attribute(file, "title") or path.name, attribute(file, "created") or changed
    return Samples(path.absolute(), str(title), str(created), anchor.rows, columns, others)


def _column(path: Path, dataset: h5py.Dataset, name: str, known: str) -> Column:
    source = locate_rows(f"{path}:{name}")
    fallback = AXES.get(dataset.ndim, ()) if known == "x" else ()
    dimensions = ["id"]
    for axis in range(1, dataset.ndim):
        scale = _scale(dataset, axis)
        usual = fallback[axis] if fallback else f"{known}_axis{axis}"
        dimensions.append(scale.rpartition("/")[2] if scale else usual)
    return Column(source, source.shape, source.dtype, tuple(dimensions), *_meaning(dataset, known))


def _other(path: Path, dataset: h5py.Dataset, name: str) -> Column | Variable:
    own = name.rpartition("/")[2]
    scales = (_scale(dataset, axis) for axis in range(dataset.ndim))
    dimensions = tuple(scale.rpartition("/")[2] if scale else f"{own}_axis{axis}" for axis, scale in enumerate(scales))
    long_name, units = _meaning(dataset, own)
    if dataset.ndim == 0 or 0 in dataset.shape:
        return Variable(dimensions, np.asarray(dataset[()], dtype=dataset.dtype), long_name, units)
    source = locate_rows(f"{path}:{name}")
    return Column(source, source.shape, source.dtype, dimensions, long_name, units)


def _meaning(dataset: h5py.Dataset, name: str) -> tuple[str, str]:
    """Long name and units."""
    return str(attribute(dataset, "long_name") or name), str(attribute(dataset, "units") or "1")


def _scale(dataset: h5py.Dataset, axis: int) -> str:
    """The path of the dimension scale of an axis; "" where there is none."""
    if dataset.ndim == 1 and dataset.is_scale:
        return str(dataset.name)
    if dataset.ndim == 0 or dataset.is_scale or len(dataset.dims[axis]) == 0:
        return ""
    return str(dataset.dims[axis][0].name or "")


def _of_rows(dataset: h5py.Dataset, rows: int, scale: str) -> bool:
    """Whether the first axis is that of the rows: as long, and no scale says otherwise."""
    if not dataset.shape or dataset.shape[0] != rows:
        return False
    own = _scale(dataset, 0)
    return not own or not scale or own == scale
