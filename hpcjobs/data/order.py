"""The order in which the rows of a data set come to be trained on: fixed by its settings, never by the ranks.

A *pass* takes the blocks of the data set in the order of their keys (word b of the stream "epoch order", index: number
of the pass; equal keys by b), one after another. This sequence of rows is cut into one run for each shard of the batch;
a run is cut into pools, and the rows of a pool are sorted by their keys (word p of "pool order" for position p of the
sequence, same index). Step t of a shard are rows t * batch / shards and so on of its run. Blocks of one row make the
order exact: every order of the rows is as likely as any other, and pools change nothing. The rest of a pass that fills
no batch is dropped: other rows in each pass, and those that were come in the next.
"""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpcjobs.errors import SettingsError
from hpcjobs.parallel.randomness import words
from hpcjobs.parallel.shards import Span

Integers = NDArray[np.int64]

BLOCK_BYTES = 2**20  # the least that is read at a time
POOL = 8  # blocks of a pool: with 8 shards, a batch is drawn from 64 blocks
EXACT_BYTES = 2**31  # a data set of at most so many bytes is put in exact order


@dataclass(frozen=True)
class Order:
    """`rows` in batches of `batch`, each cut into `shards` pieces; `block` rows a block, `pool` blocks a pool."""

    rows: int
    batch: int
    shards: int
    block: int = 1
    pool: int = POOL
    seed: int = 0

    @property
    def steps(self) -> int:
        """Batches of a pass."""
        return self.rows // self.batch

    @property
    def shard_rows(self) -> int:
        return self.batch // self.shards

    @property
    def pool_rows(self) -> int:
        """Rows of a pool: whole shards, so that each comes from one pool."""
        return max(1, self.pool * self.block // self.shard_rows) * self.shard_rows

    def run(self, shard: int) -> Span:
        """The part of the sequence that a shard gets in one pass."""
        length = self.steps * self.shard_rows
        return Span(shard * length, (shard + 1) * length)

    @property
    def pools(self) -> int:
        """How many pools the run of a shard has."""
        return -(-self.steps * self.shard_rows // self.pool_rows)

    def pool_of(self, number: int, shard: int, pool: int) -> Integers:
        """The rows of one pool of pass `number`, in their order."""
        run = self.run(shard)
        start = run.start + pool * self.pool_rows
        stop = min(run.stop, start + self.pool_rows)
        rows = _sequence(self, number, start, stop)
        if self.block == 1:
            return rows
        return rows[np.argsort(words(self.seed, "pool order", start, stop, number), kind="stable")]


def order_for(rows: int, row_bytes: int, batch: int, shards: int, seed: int = 0) -> Order:
    """The order for a data set: exact for one of at most 2 GiB, and by blocks beyond."""
    if batch % shards:
        raise SettingsError(
            f"--batch-size is {batch}, which --shards {shards} do not divide; the shards of a batch must be equal: "
            f"take {max(1, batch // shards) * shards}, or other shards"
        )
    if batch > rows:
        less = f"take at most {rows // shards * shards}" if rows >= shards else "take less, and fewer --shards"
        raise SettingsError(f"--batch-size is {batch}, but there are {rows} rows; {less}")
    exact = rows * row_bytes <= EXACT_BYTES
    return Order(rows, batch, shards, 1 if exact else -(-BLOCK_BYTES // row_bytes), seed=seed)


def _sequence(order: Order, number: int, start: int, stop: int) -> Integers:
    """The rows at some positions of the sequence of a pass."""
    positions = np.arange(start, stop)
    blocks, begins = _blocks(order.rows, order.block, order.seed, number)
    which = np.searchsorted(begins, positions, side="right") - 1
    found: Integers = blocks[which] * order.block + positions - begins[which]
    return found


@functools.lru_cache(maxsize=4)  # the passes that shards are in, and the next one
def _blocks(rows: int, block: int, seed: int, number: int) -> tuple[Integers, Integers]:
    """The blocks (blocks,) in the order of a pass, and the position at which each begins."""
    count = -(-rows // block)
    blocks = np.argsort(words(seed, "epoch order", 0, count, number), kind="stable")
    lengths = np.minimum(block, rows - blocks * block)
    return blocks, np.cumsum(lengths) - lengths
