"""What stands in a file of ours: variables with named dimensions, units and a long name."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.parallel.shards import Span

SCHEMA = "1.0"
CONVENTIONS = "CF-1.11"


@dataclass(frozen=True)
class Again:
    """Rows of one rank (`span`) that can be had from any row on, so that a writer that was killed can go on.

    Each rank has whole blocks of `block_rows`, a number that does not depend on how many ranks there are.
    """

    span: Span
    block_rows: int
    between: Callable[[Span], Iterable[NDArray[Any]]]


@dataclass(frozen=True)
class Rows:
    """The rows that one rank contributes to a table of `total` rows, handed over block by block."""

    total: int
    start: int
    dtype: np.dtype[Any]
    row_shape: tuple[int, ...]
    blocks: Callable[[], Iterable[NDArray[Any]]]
    again: Again | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.total, *self.row_shape)


@dataclass(frozen=True)
class Variable:
    """One data set. A variable named like its only dimension is that dimension's scale (its coordinate)."""

    dimensions: tuple[str, ...]
    values: NDArray[Any] | Rows
    long_name: str
    units: str = "1"

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.values.shape)


@dataclass(frozen=True)
class Contents:
    """A whole file: root attributes, and variables by path (`/result/labels`)."""

    kind: str  # input | checkpoint | result | live | prediction
    title: str
    variables: Mapping[str, Variable]
    job: str = "none"
    run_uuid: str = ""
    complete: bool = True
    attributes: Mapping[str, str] = field(default_factory=dict)


def rows_of(array: NDArray[Any], total: int, start: int) -> Rows:
    """The rows of one rank, held in memory."""
    return Rows(total, start, array.dtype, array.shape[1:], lambda: (array,))


def text(value: str) -> NDArray[np.bytes_]:
    """A scalar text as fixed-length UTF-8 bytes."""
    return np.array(_encoded(value))


def texts(values: Iterable[str]) -> NDArray[np.bytes_]:
    """A column of texts as fixed-length UTF-8 bytes."""
    return np.array([_encoded(value) for value in values], dtype=np.bytes_)


def _encoded(value: str) -> bytes:
    """UTF-8, at least one byte; a byte of a file name that is no text stands as `\\udcff`, which every reader takes."""
    return value.encode(errors="backslashreplace") or b" "
