"""All that a data set says of its samples: every variable with one entry a row, and what goes along with them."""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.schema import Rows, Variable
from hpcjobs.data.source import Reader, Source
from hpcjobs.data.table import BLOCK_BYTES
from hpcjobs.errors import SettingsError, nearest
from hpcjobs.parallel.shards import Span, piece

Read = Callable[[int, NDArray[Any]], None]


@dataclass(frozen=True)
class Column:
    """One data set, read row by row. Without a source it holds the row numbers of a file that has no ids."""

    source: Source | None
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    dimensions: tuple[str, ...]
    long_name: str
    units: str = "1"

    @property
    def row_bytes(self) -> int:
        return int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize

    @property
    def rows_at_a_time(self) -> int:
        return max(1, BLOCK_BYTES // self.row_bytes)

    def variable(self, total: int, start: int, blocks: Callable[[], Iterator[NDArray[Any]]]) -> Variable:
        """The same variable with other rows: `blocks` are those of this rank, from row `start` of `total`."""
        rows = Rows(total, start, self.dtype, self.shape[1:], blocks)
        return Variable(self.dimensions, rows, self.long_name, self.units)


@dataclass(frozen=True)
class Samples:
    """What a file holds, by name: `columns` have one entry a sample, `others` have not (paths in the file)."""

    file: Path
    title: str
    created: str
    rows: int
    columns: Mapping[str, Column]
    others: Mapping[str, Column | Variable]

    def values(self, name: str, flag: str) -> Column:
        """The column of one value a row that a flag names."""
        known = [column for column, held in self.columns.items() if len(held.shape) == 1]
        if name not in known:
            raise SettingsError(
                f"{flag} {name}: {self.file} has no data set of that name with one value a row; {nearest(name, known)}"
            )
        return self.columns[name]


@contextlib.contextmanager
def reading(column: Column) -> Iterator[Read]:
    """A function that fills an array with the rows from a given one on."""
    if column.source is None:
        yield _number
    else:
        with Reader(column.source) as reader:
            yield reader.read


def blocks_of(column: Column, span: Span) -> Iterator[NDArray[Any]]:
    """The rows of `span`, some at a time."""
    with reading(column) as read:
        for first in range(span.start, span.stop, column.rows_at_a_time):
            block = np.empty((min(column.rows_at_a_time, span.stop - first), *column.shape[1:]), dtype=column.dtype)
            read(first, block)
            yield block


def picked(column: Column, rows: NDArray[np.int64], step: int) -> Iterator[NDArray[Any]]:
    """Some rows, in the order in which they are named, at most `step` at a time; neighbours are read at once."""
    with reading(column) as read:
        for first in range(0, len(rows), step):
            wanted = rows[first : first + step]
            order = np.argsort(wanted, kind="stable")
            ordered = wanted[order]
            cuts = [0, *(np.flatnonzero(np.diff(ordered) != 1) + 1).tolist(), len(ordered)]
            held = np.empty((len(wanted), *column.shape[1:]), dtype=column.dtype)
            for start, stop in itertools.pairwise(cuts):
                read(int(ordered[start]), held[start:stop])
            found = np.empty_like(held)
            found[order] = held
            yield found


def whole(column: Column) -> NDArray[Any]:
    """Every row, in memory."""
    return np.concatenate([*blocks_of(column, Span(0, column.shape[0]))])


def carried(samples: Samples, rank: int, size: int) -> dict[str, Variable]:
    """What goes along unchanged, each rank its part."""
    found = {}
    for name, other in samples.others.items():
        if isinstance(other, Variable):
            found[name] = other
        else:
            span = piece(other.shape[0], size, rank)
            found[name] = other.variable(other.shape[0], span.start, partial(blocks_of, other, span))
    return found


def _number(start: int, out: NDArray[Any]) -> None:
    out[...] = np.arange(start, start + len(out))
