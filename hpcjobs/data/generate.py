"""Gaussian blobs: data with a known answer, of any size, the same bytes from any number of ranks.

Only raw words of Philox and arithmetic of our own choosing enter: NumPy may change what its `Generator`
draws.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from hpcjobs.data.schema import Contents, Rows, Variable
from hpcjobs.data.table import Progress, refuse_existing
from hpcjobs.data.writing import write_file
from hpcjobs.errors import SettingsError
from hpcjobs.parallel.communicator import Communicator, SerialCommunicator, on_root
from hpcjobs.parallel.randomness import philox
from hpcjobs.parallel.shards import Span, piece

BLOCK_ROWS = 4096
VALUES_AT_A_TIME = 2**20
CUBE = 10.0  # centres lie in [-CUBE, CUBE] along every axis


@dataclass(frozen=True)
class Blobs:
    """`centres` points in a cube, each with rows scattered around it."""

    rows: int
    columns: int
    centres: int
    seed: int
    dtype: str = "float32"
    spread: float = 1.0

    def check(self) -> None:
        """Refuse numbers that describe no data."""
        for flag in ("rows", "columns", "centres"):
            if getattr(self, flag) < 1:
                raise SettingsError(f"--{flag} {getattr(self, flag)}: expected at least 1")
        if self.centres >= 2**31:
            raise SettingsError(f"--centres {self.centres}: expected fewer than 2147483648")
        if self.seed < 0:
            raise SettingsError(f"--seed {self.seed}: expected 0 or more")
        if self.dtype not in ("float32", "float64"):
            raise SettingsError(f"--dtype {self.dtype}: expected float32 or float64")
        if not 0 <= self.spread <= 1e30:
            raise SettingsError(f"--spread {self.spread}: expected a number from 0 to 1e30")

    def means(self) -> NDArray[np.float64]:
        """The centres (centres, columns)."""
        uniform = _uniform(philox(self.seed, "blob centres"), self.centres * self.columns)
        return (2 * CUBE * uniform - CUBE).reshape(self.centres, self.columns)

    def labels(self, span: Span) -> Iterator[NDArray[np.int32]]:
        """Which centre each row of `span` belongs to, block by block; `span` starts where a block does."""
        for index, count in _blocks(span):
            words = philox(self.seed, "blob labels", index).random_raw(count)
            # The high half of a word, scaled to [0, centres): floor(word * centres / 2**32).
            yield (((words >> np.uint64(32)) * np.uint64(self.centres)) >> np.uint64(32)).astype(np.int32)

    def points(self, span: Span) -> Iterator[NDArray[Any]]:
        """The rows of `span` (count, columns), a few at a time: centre + spread * normal."""
        means = self.means()
        step = max(1, VALUES_AT_A_TIME // self.columns)
        for (index, count), labels in zip(_blocks(span), self.labels(span), strict=True):
            bits = philox(self.seed, "blob points", index)
            for first in range(0, count, step):
                own = means[labels[first : first + step]]  # (rows here, columns)
                normal = ndtri(_uniform(bits, own.size)).reshape(own.shape)
                yield (own + self.spread * normal).astype(self.dtype)


def generate_blobs(
    out: Path,
    rows: int,
    columns: int,
    centres: int,
    seed: int,
    dtype: str = "float32",
    spread: float = 1.0,
    *,
    communicator: Communicator | None = None,
    force: bool = False,
    progress: Progress = lambda done, total: None,
) -> None:
    """Write `rows` points around `centres` centres; the answer is in `/data/y`, `/data/centre`. Collective.

    Every row depends on `seed` and its position alone; `progress` hears (rows done, rows) of this rank.
    """
    blobs = Blobs(rows, columns, centres, seed, dtype, spread)
    blobs.check()
    comm = communicator or SerialCommunicator()
    on_root(comm, lambda: refuse_existing(out, force))
    run = piece(-(-rows // BLOCK_ROWS), comm.size, comm.rank)
    span = Span(min(rows, run.start * BLOCK_ROWS), min(rows, run.stop * BLOCK_ROWS))

    def table(dtype: str, shape: tuple[int, ...], blocks: Callable[[Span], Iterator[NDArray[Any]]]) -> Rows:
        return Rows(rows, span.start, np.dtype(dtype), shape, lambda: blocks(span))

    def points(span: Span) -> Iterator[NDArray[Any]]:
        done = 0
        for block in blobs.points(span):
            yield block
            done += len(block)
            progress(done, len(span))

    variables = {
        "/data/x": Variable(("id", "feature"), table(dtype, (columns,), points), "features"),
        "/data/id": Variable(("id",), table("int64", (), _numbers), "number of the row, counted from 0"),
        "/data/y": Variable(("id",), table("int32", (), blobs.labels), "blob that the row was drawn from"),
        "/data/centre": Variable(("blob", "feature"), blobs.means(), "centre of the blob"),
    }
    title = f"{rows} rows x {columns} features around {centres} centres"
    size = f"--rows {rows} --columns {columns} --centres {centres}"
    source = f"hpcjobs data generate blobs {size} --seed {seed} --dtype {dtype} --spread {spread!r}"
    write_file(out, Contents("input", title, variables, attributes={"source": source}), comm)


def _blocks(span: Span) -> Iterator[tuple[int, int]]:
    """Global number and number of rows of every block in `span`."""
    for start in range(span.start, span.stop, BLOCK_ROWS):
        yield start // BLOCK_ROWS, min(BLOCK_ROWS, span.stop - start)


def _numbers(span: Span) -> Iterator[NDArray[np.int64]]:
    for start in range(span.start, span.stop, BLOCK_ROWS):
        yield np.arange(start, min(start + BLOCK_ROWS, span.stop), dtype=np.int64)


def _uniform(bits: np.random.Philox, count: int) -> NDArray[np.float64]:
    """`count` numbers in the open interval (0, 1): the middles of 2**52 equal steps, exact in a double."""
    return ((bits.random_raw(count) >> np.uint64(12)).astype(np.float64) + 0.5) * math.ldexp(1.0, -52)
