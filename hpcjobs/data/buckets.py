"""Rows that are to be sorted by random keys, divided by the high bits of these into buckets that memory holds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.samples import Read
from hpcjobs.parallel.communicator import Communicator
from hpcjobs.parallel.shards import Span, piece

BINS = 2**16
SHIFT = np.uint64(48)  # the 16 high bits of a key are its bin
KEYS = 2**20  # keys drawn at a time


@dataclass(frozen=True)
class Buckets:
    """Bucket b holds the rows whose bins lie in edges[b] to edges[b + 1]; they become rows starts[b] to starts[b + 1].

    `before` (buckets,) is how many rows of each bucket lie with the ranks below this one.
    """

    edges: NDArray[np.int64]
    starts: NDArray[np.int64]
    before: NDArray[np.int64]

    @property
    def count(self) -> int:
        return len(self.edges) - 1

    @property
    def largest(self) -> int:
        """Rows of the largest bucket."""
        return int(np.diff(self.starts).max())

    def span(self, index: int) -> Span:
        """The output rows of one bucket."""
        return Span(int(self.starts[index]), int(self.starts[index + 1]))

    def owned(self, rank: int, size: int) -> list[Span]:
        """The output rows of each bucket that a rank sorts."""
        run = piece(self.count, size, rank)
        return [self.span(index) for index in range(run.start, run.stop)]


def count_bins(keys: Read, span: Span) -> NDArray[np.int64]:
    """How many rows of `span` lie in each bin (BINS,)."""
    counts = np.zeros(BINS, dtype=np.int64)
    for first in range(span.start, span.stop, KEYS):
        drawn = np.empty(min(KEYS, span.stop - first), dtype=np.uint64)
        keys(first, drawn)
        counts += np.bincount(drawn >> SHIFT, minlength=BINS)
    return counts


def cut(own: NDArray[np.int64], rows: int, most: int, communicator: Communicator) -> Buckets:
    """As few buckets as hold at most `most` rows each, a multiple of the number of ranks. Collective.

    `own` (BINS,) are the rows of this rank.
    """
    every = own.copy()
    communicator.allreduce_sum(every)
    ends, own_ends = (np.concatenate([[0], np.cumsum(counts)]) for counts in (every, own))
    runs = max(1, -(-rows // (most * communicator.size)))
    while True:
        count = min(BINS, runs * communicator.size)
        edges = np.searchsorted(ends, rows * np.arange(count + 1) // count)
        edges[0], edges[-1] = 0, BINS
        starts = ends[edges]
        if np.diff(starts).max() <= most or count == BINS:
            break
        runs += -(-runs // 8)
    mine = np.diff(own_ends[edges])
    before = communicator.allgather(mine)[: communicator.rank].sum(axis=0, dtype=np.int64)
    return Buckets(edges, starts, before)
