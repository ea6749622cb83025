"""Import of arrays: .npy, .npz and data sets in HDF5 files, read in blocks and never unpickled."""

import contextlib
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data import safety
from hpcjobs.data.blocks import BlockFile
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
from hpcjobs.errors import DataError, SettingsError, nearest

SUFFIXES = (".npy", ".npz", ".h5", ".hdf5", ".nc", ".nc4")


@dataclass(frozen=True)
class Header:
    """What stands before the values in the .npy format."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    offset: int

    @property
    def bytes(self) -> int:
        return int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize


def open_array(source: str, path: Path, options: ImportOptions, progress: Progress) -> Table:
    """The table (rows, features) that an array source holds."""
    for flag, value in (("--id", options.id_column), ("--target", options.target_column)):
        if value is not None:
            raise SettingsError(f"{flag} {value}: only text sources (CSV, TSV) have it; {path} is an array")
    suffix = path.suffix.lower()
    if suffix == ".npy":
        header = _npy_header(path)
        return _table(
            source, header.shape, header.dtype, partial(_npy_blocks, path, header), options, progress
        )
    if suffix == ".npz":
        key, header = _find_member(source, path)
        blocks = partial(_npz_blocks, path, key, header)
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
    for column in columns:
        if not (column.isascii() and column.isdigit() and int(column) < count):
            raise SettingsError(f"--columns {column}: {where} has columns 0 to {count - 1} and no names")
    return [int(column) for column in columns] or None


def _default(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype.kind == "b":
        return np.dtype("uint8")
    if dtype.name == "float16":
        return np.dtype("float32")
    return np.dtype(dtype.name) if dtype.name in ("float32", "float64", "uint8") else np.dtype("float64")


def _step(header: Header) -> int:
    return max(1, BLOCK_BYTES // (header.bytes // header.shape[0]))


# .npy


def _npy_header(path: Path) -> Header:
    with path.open("rb") as file:
        header = _read_header(file, str(path))
    size = path.stat().st_size
    if header.offset + header.bytes > size:
        raise DataError(
            f"{path}: its header promises shape {header.shape} of {header.dtype}, that is "
            f"{header.offset + header.bytes} bytes, where the file has {size}: truncated; save it again"
        )
    return header


def _read_header(file: IO[bytes], where: str) -> Header:
    # 1.0 and 2.0 are all that np.save writes for numbers; 3.0 is for tables with named fields.
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        version = np.lib.format.read_magic(file)
        if version not in readers:
            raise DataError(f"{where}: .npy format {version} holds no plain numbers; save a numeric array")
        shape, fortran, dtype = readers[version](file)
    except (ValueError, EOFError, OSError, SyntaxError) as error:
        raise DataError(f"{where}: not a readable .npy file ({error})") from None
    header = Header(shape, fortran, dtype, file.tell())
    if dtype.hasobject:
        raise DataError(f"{where}: holds pickled objects, which can run code; save it as a numeric array")
    if dtype.kind not in "fiub":
        raise DataError(f"{where}: holds {dtype}, not numbers; save it as a float, integer or boolean array")
    if len(shape) != 2:
        raise DataError(
            f"{where}: has {len(shape)} axes {shape} where 2 are needed (rows x features); "
            "reshape it, e.g. with array.reshape(len(array), -1)"
        )
    if 0 in shape:
        raise DataError(f"{where}: is empty, shape {shape}")
    return header


def _npy_blocks(path: Path, header: Header) -> Iterator[NDArray[Any]]:
    with path.open("rb") as file:
        yield from _mapped(file, header) if header.fortran else _streamed(file, header, str(path))


def _streamed(file: IO[bytes], header: Header, where: str) -> Iterator[NDArray[Any]]:
    """Blocks (rows, features) of row-major values, read one after another."""
    file.seek(header.offset)
    step = _step(header)
    width = header.shape[1]
    for first in range(0, header.shape[0], step):
        rows = min(step, header.shape[0] - first)
        content = file.read(rows * width * header.dtype.itemsize)
        values = np.frombuffer(
            content[: len(content) // header.dtype.itemsize * header.dtype.itemsize], header.dtype
        )
        if len(values) < rows * width:
            raise DataError(
                f"{where}: ends in row {first + len(values) // width} of {header.shape[0]}: truncated"
            )
        yield values.reshape(rows, width)


def _mapped(file: IO[bytes], header: Header) -> Iterator[NDArray[Any]]:
    """Blocks of column-major values: a row lies scattered over the whole file, so it is mapped."""
    values = np.memmap(file, header.dtype, "r", header.offset, header.shape, order="F")
    step = _step(header)
    for first in range(0, header.shape[0], step):
        yield np.array(values[first : first + step], order="C")


# .npz


def _find_member(source: str, path: Path) -> tuple[str, Header]:
    _, name = split_name(source)
    with _opened_npz(path) as archive:
        keys = [member.removesuffix(".npy") for member in archive.namelist() if member.endswith(".npy")]
        key = name.strip("/") if name else keys[0] if len(keys) == 1 else None
        if key is None:
            some = ", ".join(f"{path}:/{known}" for known in keys[:5])
            raise DataError(f"{path}: holds {len(keys)} arrays; say which: {some}")
        if key not in keys:
            raise DataError(f"{path}: no array {key!r} in it; {nearest(key, keys)}")
        with archive.open(f"{key}.npy") as member:
            header = _read_header(member, f"{path}:/{key}")
        stored = archive.getinfo(f"{key}.npy").file_size
    if header.offset + header.bytes > stored:
        raise DataError(f"{path}:/{key}: {header.shape} of {header.dtype} does not fit in its {stored} bytes")
    return key, header


@contextlib.contextmanager
def _opened_npz(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path}: not a readable .npz file ({error}); save it again") from None


def _npz_blocks(path: Path, key: str, header: Header) -> Iterator[NDArray[Any]]:
    with _opened_npz(path) as archive, archive.open(f"{key}.npy") as member:
        if header.fortran:
            with tempfile.TemporaryFile() as unpacked:
                shutil.copyfileobj(member, unpacked, BLOCK_BYTES)
                unpacked.flush()
                yield from _mapped(cast(IO[bytes], unpacked), header)
        else:
            yield from _streamed(member, header, f"{path}:/{key}")


# HDF5


def _hdf5_blocks(found: Source) -> Iterator[NDArray[Any]]:
    with Reader(found) as reader:
        yield from reader.blocks(0, found.rows, max(1, BLOCK_BYTES // found.row_bytes))


def _identities(found: Source) -> NDArray[Any] | None:
    """The ids (rows,) beside the data set, so that results can still be joined back to the samples."""
    if found.id_name is None:
        return None
    with BlockFile(found.file) as raw, safety.open_hdf5(raw, found.file) as file:
        dataset = safety.get(file, found.file, found.id_name)
        safety.check_dataset(dataset, found.file, found.id_name, raw.size)
        identities: NDArray[Any] = dataset[()]
    where = f"{found.file}:{found.id_name}"
    check_unique(identities, lambda first, second: f"{where}: rows {first} and {second}")
    return identities
