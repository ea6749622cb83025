"""Import of arrays: .npy, .npz and data sets in HDF5 files, read in blocks and never unpickled."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data import safety
from hpcjobs.data.blocks import BlockFile
from hpcjobs.data.npy import npy_blocks, open_npy
from hpcjobs.data.npz import find_member, npz_blocks
from hpcjobs.data.source import Reader, Source, locate, split_name
from hpcjobs.data.table import (
    BLOCK_BYTES,
    Blocks,
    ImportOptions,
    Progress,
    Table,
    check_unique,
    representable,
)
from hpcjobs.errors import DataError, SettingsError

SUFFIXES = (".npy", ".npz", ".h5", ".hdf5", ".nc", ".nc4")


def open_array(source: str, path: Path, options: ImportOptions, progress: Progress) -> Table:
    """The table (rows, features) that an array source holds."""
    for flag, value in (("--id", options.id_column), ("--target", options.target_column)):
        if value is not None:
            raise SettingsError(f"{flag} {value}: only text sources (CSV, TSV) have it; {path} is an array")
    suffix = path.suffix.lower()
    if suffix == ".npy":
        header = open_npy(path)
        blocks = partial(npy_blocks, path, header)
        return _table(source, header.shape, header.dtype, blocks, options, progress)
    if suffix == ".npz":
        key, header = find_member(path, split_name(source)[1])
        blocks = partial(npz_blocks, path, key, header)
        return _table(f"{path}:/{key}", header.shape, header.dtype, blocks, options, progress)
    found = locate(source, 2)
    table = _table(str(found), found.shape, found.dtype, partial(_hdf5_blocks, found), options, progress)
    identities = _identities(found)
    if identities is None:
        return table
    kind = "text" if identities.dtype.kind == "S" else "integer"
    return replace(table, identities=identities, identity_kind=kind)


def _table(
    where: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    blocks: Blocks,
    options: ImportOptions,
    progress: Progress,
) -> Table:
    chosen = _chosen(where, options.columns, shape[1])
    wanted = np.dtype(options.dtype) if options.dtype else _default(dtype)

    def converted() -> Iterator[NDArray[Any]]:
        done = 0
        for block in blocks():
            part = block if chosen is None else block[:, chosen]  # (rows, chosen columns)
            if part.dtype != wanted and not (fits := representable(part, wanted)).all():
                row, column = (int(axis[0]) for axis in np.nonzero(~fits))
                raise DataError(
                    f"{where}: row {done + row} holds {part[row, column]}, which {wanted} cannot hold; "
                    "choose another --dtype, or mend the value"
                )
            yield part.astype(wanted)
            done += len(part)
            progress(done, shape[0])

    return Table(shape[0], shape[1] if chosen is None else len(chosen), wanted, converted)


def _chosen(where: str, columns: tuple[str, ...], count: int) -> list[int] | None:
    for named in columns:
        if not (named.isascii() and named.isdigit() and int(named) < count):
            raise SettingsError(f"--columns {named}: {where} has columns 0 to {count - 1} and no names")
    chosen = [int(column) for column in columns]
    for column in chosen:
        if chosen.count(column) > 1:
            raise SettingsError(f"--columns names column {column} of {where} twice")
    return chosen or None


def _default(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype.kind == "b":
        return np.dtype("uint8")
    if dtype.name == "float16":
        return np.dtype("float32")
    return np.dtype(dtype.name) if dtype.name in ("float32", "float64", "uint8") else np.dtype("float64")


def _hdf5_blocks(found: Source) -> Iterator[NDArray[Any]]:
    with Reader(found) as reader:
        yield from reader.blocks(0, found.rows, max(1, BLOCK_BYTES // found.row_bytes))


def _identities(found: Source) -> NDArray[Any] | None:
    """The ids (rows,) beside the data set, so that results can still be joined back to the samples."""
    if found.id_name is None:
        return None
    with BlockFile(found.file) as raw, safety.open_hdf5(raw, found.file) as file, safety.parsing(found.file):
        dataset = safety.get(file, found.file, found.id_name)
        safety.check_dataset(dataset, found.file, found.id_name, raw.size)
        identities: NDArray[Any] = dataset[()]
    where = f"{found.file}:{found.id_name}"
    check_unique(identities, lambda first, second: f"{where}: rows {first} and {second}")
    return identities
