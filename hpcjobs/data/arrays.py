"""Import of arrays: .npy, .npz, IDX and data sets in HDF5 files, read in blocks and never unpickled."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data import safety
from hpcjobs.data.blocks import BlockFile
from hpcjobs.data.idx import idx_blocks, open_idx, open_labels
from hpcjobs.data.linked import follow
from hpcjobs.data.npy import npy_blocks, open_npy
from hpcjobs.data.npz import find_member, npz_blocks
from hpcjobs.data.source import Source, locate, source_blocks, split_name
from hpcjobs.data.table import Blocks, ImportOptions, Table, check_unique, natural, representable
from hpcjobs.errors import DataError, SettingsError
from hpcjobs.parallel.shards import Span

HDF5_SUFFIXES = (".h5", ".hdf5", ".nc", ".nc4")


def open_array(source: str, path: Path, options: ImportOptions) -> Table:
    """The table (rows, features) that a .npy or .npz file holds."""
    if path.suffix.lower() == ".npy":
        header = open_npy(path)
        return _table(source, header.shape, header.dtype, partial(npy_blocks, path, header), options)
    key, header = find_member(path, split_name(source)[1])
    return _table(f"{path}:/{key}", header.shape, header.dtype, partial(npz_blocks, path, key, header), options)


def open_hdf5(source: str, options: ImportOptions) -> Table:
    """The table (rows, features) of a data set in an HDF5 file, with the ids that lie beside it."""
    if options.follow_links:
        followed = follow(*split_name(source))
        where, identities = str(followed), followed.identities()
        table = _table(where, followed.shape, followed.dtype, followed.blocks, options)
        table = replace(table, followed=followed.digests())
    else:
        found = locate(source, 2)
        where, identities = f"{found.file}:{found.id_name or found.name}", _identities(found)
        table = _table(str(found), found.shape, found.dtype, partial(source_blocks, found), options)
    if identities is None:
        if options.pseudonymise:
            raise SettingsError(f"--pseudonymise {options.pseudonymise}: {where} has no ids beside it")
        return table
    check_unique(
        identities, lambda first, second: f"{where}: rows {first} and {second}", options.pseudonymise is not None
    )
    return replace(table, identities=identities, identity_kind="text" if identities.dtype.kind == "S" else "integer")


def open_idx_table(path: Path, options: ImportOptions) -> Table:
    """The rows of an IDX file: images (rows, height, width, 1), or features (rows, features)."""
    header = open_idx(path, (2, 3), "2 (rows x features) or 3 (rows x height x width)")
    row_shape = (*header.shape[1:], 1) if len(header.shape) == 3 else header.shape[1:]
    table = _table(str(path), (header.shape[0], *row_shape), header.dtype, partial(idx_blocks, path, header), options)
    return replace(table, target=open_labels(Path(options.labels), table.rows)) if options.labels else table


def _table(where: str, shape: tuple[int, ...], dtype: np.dtype[Any], blocks: Blocks, options: ImportOptions) -> Table:
    chosen = _chosen(where, options, shape[1])
    wanted = np.dtype(options.dtype) if options.dtype else natural(dtype)
    row_shape = shape[1:] if chosen is None else (len(chosen),)
    return Table(shape[0], row_shape, wanted, partial(_converted, where, blocks, chosen, wanted))


def _converted(
    where: str, blocks: Blocks, chosen: list[int] | None, wanted: np.dtype[Any], span: Span
) -> Iterator[NDArray[Any]]:
    """The rows of a span with the chosen columns, in the wanted type; refused where a value would change."""
    first = span.start
    for block in blocks(span):
        part = block if chosen is None else block[:, chosen]  # (rows, chosen columns)
        if part.dtype != wanted and not (fits := representable(part, wanted)).all():
            row, *column = (int(axis[0]) for axis in np.nonzero(~fits))
            raise DataError(
                f"{where}: row {first + row} holds {part[row, *column]}, which {wanted} cannot hold; "
                "choose another --dtype, or mend the value"
            )
        yield part.astype(wanted)
        first += len(part)


def _chosen(where: str, options: ImportOptions, count: int) -> list[int] | None:
    for flag, columns in (("--columns", options.columns), ("--drop", options.drop)):
        for named in columns:
            if not (named.isascii() and named.isdigit() and int(named) < count):
                raise SettingsError(f"{flag} {named}: {where} has columns 0 to {count - 1} and no names")
    chosen = [int(column) for column in options.columns]
    dropped = {int(column) for column in options.drop}
    for column in chosen:
        if chosen.count(column) > 1:
            raise SettingsError(f"--columns names column {column} of {where} twice")
        if column in dropped:
            raise SettingsError(f"--columns and --drop both name column {column} of {where}")
    if not chosen and dropped:
        chosen = [column for column in range(count) if column not in dropped]
        if not chosen:
            raise SettingsError(f"--drop leaves none of the {count} columns of {where}")
    return chosen or None


def _identities(found: Source) -> NDArray[Any] | None:
    """The ids (rows,) beside the data set, so that results can still be joined back to the samples."""
    if found.id_name is None:
        return None
    with BlockFile(found.file) as raw, safety.open_hdf5(raw, found.file) as file, safety.parsing(found.file):
        dataset = safety.get(file, found.file, found.id_name)
        safety.check_dataset(dataset, found.file, found.id_name, raw.size)
        identities: NDArray[Any] = dataset[()]
    return identities
