"""The order in which the rows of a data set come to be trained on: fixed by its settings, never by the ranks.

A *pass* takes the blocks of the data set in the order of their keys (word b of the stream "epoch order", index: number
of the pass; equal keys by b), one after another. This sequence of rows is cut into one run for each shard of the batch;
a run is cut into pools, and the rows of a pool are sorted by their keys (word p of "pool order" for position p of the
sequence, same index). Step t of a shard are rows t * batch / shards and so on of its run. Blocks of one row make the
order exact: every order of the rows is as likely as any other, and pools change nothing.
"""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpcjobs.errors import SettingsError
from hpcjobs.parallel.randomness import words
from hpcjobs.parallel.shards import Span, piece

Integers = NDArray[np.int64]

BLOCK_BYTES = 2**20  # the least that is read at a time
POOL = 8  # blocks of a pool: with 8 shards, a batch is drawn from 64 blocks
EXACT_BYTES = 2**31  # a data set of at most so many bytes is put in exact order
SHUFFLES = ("auto", "exact", "blocks", "none")


@dataclass(frozen=True)
class Order:
    """`rows` in batches of `batch`, each cut into `shards` pieces; `block` rows a block, `pool` blocks a pool.

    The rest of a pass that fills no batch is dropped (other rows in each pass), or, with `pad`, makes a last batch
    whose shards share its rows evenly and are filled up.
    """

    rows: int
    batch: int
    shards: int
    block: int = 1
    pool: int = POOL
    seed: int = 0
    shuffled: bool = True
    pad: bool = False

    @property
    def steps(self) -> int:
        """Batches of a pass."""
        return -(-self.rows // self.batch) if self.pad else self.rows // self.batch

    @property
    def shard_rows(self) -> int:
        return self.batch // self.shards

    @property
    def pool_rows(self) -> int:
        """Rows of a pool: whole shards, so that each comes from one pool."""
        return max(1, self.pool * self.block // self.shard_rows) * self.shard_rows

    def run(self, shard: int) -> Span:
        """The part of the sequence that a shard gets in one pass."""
        full, rest = divmod(min(self.rows, self.steps * self.batch), self.batch)
        last = piece(rest, self.shards, shard)
        length = full * self.shard_rows
        return Span(shard * length + last.start, (shard + 1) * length + last.stop)

    def pools(self, shard: int) -> int:
        """How many pools the run of a shard has; at least one, which may be empty."""
        return max(1, -(-len(self.run(shard)) // self.pool_rows))

    def pool_of(self, number: int, shard: int, pool: int) -> Integers:
        """The rows of one pool of pass `number`, in their order."""
        run = self.run(shard)
        start = run.start + pool * self.pool_rows
        stop = max(start, min(run.stop, start + self.pool_rows))
        rows = _sequence(self, number, start, stop)
        if not self.shuffled or self.block == 1:
            return rows
        return rows[np.argsort(words(self.seed, "pool order", start, stop, number), kind="stable")]


def order_for(
    rows: int,
    row_bytes: int,
    batch: int,
    shards: int,
    seed: int = 0,
    shuffle: str = "auto",
    remainder: str = "drop",
    pool: int = POOL,
) -> Order:
    """The order for a data set, as flags say it. `auto` is exact for one of at most 2 GiB, and blocks beyond."""
    if batch % shards:
        raise SettingsError(
            f"--batch-size is {batch}, which --shards {shards} do not divide; the shards of a batch must be equal: "
            f"take {max(1, batch // shards) * shards}, or other shards"
        )
    if batch > rows and remainder == "drop":
        raise SettingsError(
            f"--batch-size is {batch}, but there are {rows} rows; take at most {rows // shards * shards}"
        )
    if shuffle == "auto":
        shuffle = "exact" if rows * row_bytes <= EXACT_BYTES else "blocks"
    block = max(1, -(-BLOCK_BYTES // max(1, row_bytes))) if shuffle == "blocks" else 1
    return Order(rows, batch, shards, block, pool, seed, shuffle != "none", remainder == "pad")


def _sequence(order: Order, number: int, start: int, stop: int) -> Integers:
    """The rows at some positions of the sequence of a pass."""
    positions = np.arange(start, stop)
    if not order.shuffled:
        return positions
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
