"""A table of rows in an HDF5 file: found and checked by rank 0, read by every rank.

`FILE.h5:/path` names a data set; without `:/path` it is `/data/x` of our own schema, or the file's only data
set of fitting shape.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hpcjobs.data import safety
from hpcjobs.data.blocks import BlockFile
from hpcjobs.data.table import BLOCK_BYTES
from hpcjobs.errors import DataError
from hpcjobs.parallel.communicator import Communicator, on_root
from hpcjobs.parallel.shards import Span

# The most axes that HDF5 knows are 32.
ROWS, FEATURES = range(1, 33), range(2, 33)


@dataclass(frozen=True)
class Source:
    """Where a data set lies and what it holds. `offset` is its first byte when rows can be read straight."""

    file: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int | None
    size: int
    modified: int
    digest: str  # root of the file digest; "" for a file that another program wrote
    id_name: str | None

    @property
    def rows(self) -> int:
        return self.shape[0]

    @property
    def row_bytes(self) -> int:
        return int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{self.file}:{self.name}"


def split_name(argument: str) -> tuple[Path, str | None]:
    """`FILE.h5:/path` as file and path; a file whose name holds `:/` wins over the split."""
    if ":/" in argument and not Path(argument).exists():
        file, _, name = argument.rpartition(":/")
        return Path(file), f"/{name}"
    file, _, name = argument.rpartition(":")
    if Path(file).is_file() and not Path(argument).exists():
        raise DataError(f"{argument}: no such file; did you mean {file}:/{name}?")
    return Path(argument), None


def find_source(argument: str, dimensions: int, communicator: Communicator) -> Source:
    """Find the data set that a flag names and check what can be checked without reading it. Collective."""
    return on_root(communicator, lambda: locate(argument, dimensions))


def locate(argument: str, dimensions: int) -> Source:
    """`find_source` on one process. `dimensions` is how many axes the data set must have."""
    return locate_at(*split_name(argument), range(dimensions, dimensions + 1))


def locate_rows(argument: str) -> Source:
    """A data set of any number of axes, the first of them its rows: numbers or fixed-length text."""
    return locate_at(*split_name(argument), ROWS, "fiuS")


def locate_features(argument: str) -> Source:
    """Rows of any shape, such as images, each taken as one line of features: (rows, features)."""
    found = locate_at(*split_name(argument), FEATURES)
    return replace(found, shape=(found.rows, found.row_bytes // found.dtype.itemsize))


def locate_ids(source: Source) -> Source:
    """The row identities beside a source, numbers or fixed-length text."""
    return locate_at(source.file, source.id_name, range(1, 2), "iuS")


def locate_at(path: Path, name: str | None, axes: range, kinds: str = "fiu") -> Source:
    """The data set at a path of a file; `axes` are the numbers of axes it may have, `kinds` NumPy's of its values."""
    with BlockFile(path) as raw, safety.open_hdf5(raw, path) as file, safety.parsing(path):
        if name is None:
            name = default_name(file, path, axes)
        dataset = safety.get(file, path, name)
        if isinstance(dataset, h5py.Datatype):
            raise DataError(f"{path}: {name} is a type, no data set")
        if not isinstance(dataset, h5py.Dataset):
            found = ", ".join(f"{name.rstrip('/')}/{part}" for part in list(dataset)[:5]) or "nothing"
            raise DataError(f"{path}: {name} is a group (it holds {found}); name a data set in it")
        safety.check_dataset(dataset, path, name, raw.size)
        _check_shape(dataset, f"{path}:{name}", axes, kinds)
        status = path.stat()
        return Source(
            file=path.absolute(),
            name=name,
            shape=tuple(dataset.shape),
            dtype=dataset.dtype.newbyteorder("="),
            offset=dataset.id.get_offset() if _plain(dataset) else None,
            size=status.st_size,
            modified=status.st_mtime_ns,
            digest=raw.record.root if raw.record else "",
            id_name=_id_name(file, path, name, dataset.shape[0]),
        )


def _plain(dataset: h5py.Dataset) -> bool:
    """Whether the bytes in the file are those of a NumPy array here: in one piece, of the very same type.

    Big-endian numbers, integers of odd precision and text padded with blanks are not: libhdf5 converts them.
    """
    here = h5py.h5t.py_create(dataset.dtype.newbyteorder("="), logical=True)
    return dataset.chunks is None and bool(dataset.id.get_type().equal(here))


def default_name(file: h5py.File, path: Path, axes: range) -> str:
    """`/data/x` of our own schema, or the file's only data set of fitting shape."""
    found = [
        (name, dataset.shape)
        for name, dataset in safety.datasets(file, path)
        if dataset.ndim in axes and dataset.dtype.kind in "fiu"
    ]
    names = [name for name, _ in found]
    if "/data/x" in names:
        return "/data/x"
    if len(names) == 1:
        return names[0]
    if not names:
        raise DataError(f"{path}: no numeric data set with {_told(axes)} axes in this file")
    some = ", ".join(f"{path}:{name} {shape}" for name, shape in found[:5])
    raise DataError(f"{path}: {len(names)} data sets would fit; say which: {some}")


def _told(axes: range) -> str:
    return str(axes[0]) if len(axes) == 1 else f"{axes[0]} or more"


def _check_shape(dataset: h5py.Dataset, where: str, axes: range, kinds: str) -> None:
    if dataset.dtype.kind not in kinds:
        raise DataError(f"{where}: holds {dataset.dtype}, not numbers; expected float32, float64 or uint8")
    if dataset.ndim not in axes:
        expected = "one value a row" if axes[-1] == 1 else "rows x features"
        needed = f"{_told(axes)} are needed ({expected})"
        raise DataError(
            f"{where}: has {dataset.ndim} axes {dataset.shape} where {needed}; reshape it, or name another data set"
        )
    if 0 in dataset.shape:
        raise DataError(f"{where}: is empty, shape {dataset.shape}")


def _id_name(file: h5py.File, path: Path, name: str, rows: int) -> str | None:
    """The row identities beside a data set: `id` in the same group, one a row."""
    beside = name.rsplit("/", 1)[0] + "/id"
    group = file if beside == "/id" else safety.get(file, path, beside.rsplit("/", 1)[0])
    if "id" not in group or not isinstance(group.get("id", getlink=True), h5py.HardLink):
        return None
    dataset = group["id"]
    fits = isinstance(dataset, h5py.Dataset) and dataset.shape == (rows,) and dataset.dtype.kind in "iuS"
    return beside if fits else None


class Reader:
    """Rows of one source, read by one rank: straight from the file where contiguous, else by h5py."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._raw = BlockFile(source.file)
        self._file: h5py.File | None = None
        found = self._raw.record.root if self._raw.record else ""
        if self._raw.size != source.size or found != source.digest:
            self.close()
            raise DataError(f"{source.file}: changed since this run looked at it; start again")

    def read(self, start: int, out: NDArray[Any]) -> None:
        """Fill `out` (rows, ...) with rows from `start`."""
        if len(out) == 0:
            return
        if self.source.offset is not None:
            self._raw.pread_into(self.source.offset + start * self.source.row_bytes, _bytes_of(out))
            return
        if self._file is None:
            self._file = safety.open_hdf5(self._raw, self.source.file)
        try:
            out[...] = self._file[self.source.name][start : start + len(out)].reshape(out.shape)
        except safety.H5PY_ERRORS as error:
            raise DataError(f"{self.source}: rows {start} to {start + len(out)} cannot be read: {error}") from None

    def blocks(self, start: int, stop: int, rows: int) -> Iterator[NDArray[Any]]:
        """The rows from `start` to `stop`, at most `rows` at a time."""
        for first in range(start, stop, rows):
            block = np.empty((min(rows, stop - first), *self.source.shape[1:]), dtype=self.source.dtype)
            self.read(first, block)
            yield block

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._raw.close()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def source_blocks(source: Source, span: Span) -> Iterator[NDArray[Any]]:
    """The rows of a span, a few megabytes at a time."""
    with Reader(source) as reader:
        yield from reader.blocks(span.start, span.stop, max(1, BLOCK_BYTES // source.row_bytes))


def _bytes_of(array: NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data
