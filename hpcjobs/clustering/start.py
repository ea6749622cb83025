"""Starting centres: drawn from exact integer masses, so the same rows are drawn on any number of ranks."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hpcjobs.clustering.exact import Column, power_below, spare_bits
from hpcjobs.clustering.table import Table
from hpcjobs.data.streaming import take
from hpcjobs.kernels import kmeans as kernels
from hpcjobs.parallel.communicator import Communicator
from hpcjobs.parallel.randomness import Stream

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Masses:
    """Integer masses of the rows of all ranks, from which rows are drawn in proportion.

    Kept are the sums of blocks; the masses of a block are worked out again when a draw falls in it.
    """

    def __init__(self, column: Column, rows: int, communicator: Communicator) -> None:
        """Put a column on a grid fine enough for its sum over `rows` rows to be exact. Collective."""
        self.scale = power_below(column.largest(communicator), spare_bits(rows))
        self._column = column
        self._comm = communicator
        self._removed: set[int] = set()
        self._blocks = np.array([self._on_grid(block).sum() for block in column.blocks()], dtype=np.int64)
        self._ranks = communicator.allgather(np.array([self._blocks.sum()], dtype=np.int64))[:, 0]

    @property
    def total(self) -> int:
        return int(self._ranks.sum())

    def find(self, target: int) -> tuple[int, int]:
        """The rank of the row in which the running sum passes `target`, and the row there (-1 elsewhere)."""
        rank, target = _passes(self._ranks, target)
        if rank != self._comm.rank:
            return rank, -1
        block, target = _passes(self._blocks, target)
        row, _ = _passes(self._masses(block), target)
        return rank, block * self._column.block + row

    def blocks(self) -> Iterator[tuple[int, Integers]]:
        """The masses of this rank's rows, a block at a time, each with the number of its first row."""
        return ((block * self._column.block, self._masses(block)) for block in range(len(self._blocks)))

    def remove(self, rank: int, local: int) -> None:
        """Take a drawn row out. Collective: its mass is told to all."""
        mass = np.zeros(1, dtype=np.int64)
        if rank == self._comm.rank:
            block, row = divmod(local, self._column.block)
            mass[0] = self._masses(block)[row]
            self._removed.add(local)
            self._blocks[block] -= mass[0]
        self._comm.allreduce_sum(mass)
        self._ranks[rank] -= mass[0]

    def _masses(self, block: int) -> Integers:
        start = block * self._column.block
        stop = min(start + self._column.block, self._column.rows)
        masses = self._on_grid(self._column.values(slice(start, stop)))
        masses[[row - start for row in self._removed if start <= row < stop]] = 0
        return masses

    def _on_grid(self, values: Floats) -> Integers:
        return np.rint(values * self.scale).astype(np.int64)


def _passes(masses: Integers, target: int) -> tuple[int, int]:
    """Where the running sum of masses passes `target`, and what is left of `target` there."""
    ends = np.cumsum(masses)
    index = int(np.searchsorted(ends, target, side="right"))
    return index, target - int(ends[index] - masses[index])


def fetch(table: Table, found: list[tuple[int, int]]) -> Floats:
    """The drawn rows (draws, features) as float64, on every rank. Exact: bit patterns added to zeros."""
    rows = np.zeros((len(found), table.features))
    mine = [draw for draw, (rank, _) in enumerate(found) if rank == table.communicator.rank]
    rows[mine] = take(table.points, np.array([found[draw][1] for draw in mine], dtype=np.int64))
    table.communicator.allreduce_sum(rows.view(np.int64))
    return rows


def random_rows(table: Table, clusters: int, stream: Stream) -> Floats:
    """`clusters` different rows, drawn by weight without replacement."""
    masses = by_weight(table)
    found: list[tuple[int, int]] = []
    # Fewer rows with weight than clusters: the last centres repeat the first, and stay empty.
    while len(found) < clusters and masses.total > 0:
        found.append(masses.find(stream.below(masses.total)))
        masses.remove(*found[-1])
    return fetch(table, found + found[:1] * (clusters - len(found)))


def kmeans_plus_plus(table: Table, clusters: int, stream: Stream) -> Floats:
    """Greedy k-means++ (Arthur and Vassilvitskii, SODA 2007) with 2 + log(clusters) trials a centre.

    Each centre is the best of a few rows drawn by weight * squared distance to the centres so far; of equally
    good trials the first is taken. Once every row lies on a centre, rows are drawn by weight alone.
    """
    trials = 2 + int(math.log(clusters))
    comm = table.communicator
    every = by_weight(table)
    centres = np.empty((clusters, table.features))
    centres[0] = fetch(table, [every.find(stream.below(every.total))])[0]
    closest = np.full(len(table.points), np.inf)  # squared distance of each row to the centres so far
    column = table.weighted(lambda run: closest[run])
    for number in range(1, clusters):
        for run in table.runs():
            kernels.narrow(table.points[run], centres[number - 1], closest[run])
        masses = Masses(column, table.rows, comm)
        if masses.total == 0:
            centres[number] = fetch(table, [every.find(stream.below(every.total))])[0]
            continue
        candidates = fetch(table, [masses.find(stream.below(masses.total)) for _ in range(trials)])
        left = np.zeros(trials, dtype=np.int64)
        for run in table.runs():
            kernels.potentials(table.points[run], table.weights_of(run), candidates, closest[run], masses.scale, left)
        comm.allreduce_sum(left)
        centres[number] = candidates[int(np.argmin(left))]
    return centres


def by_weight(table: Table) -> Masses:
    """Masses in proportion to the weights of the rows. Collective."""
    ones = table.weighted(lambda run: np.ones(run.stop - run.start))
    return Masses(ones, table.rows, table.communicator)
