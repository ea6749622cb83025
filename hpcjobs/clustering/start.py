"""Starting centres: drawn from exact integer masses, so the same rows are drawn on any number of ranks."""

import math

import numpy as np
from numpy.typing import NDArray

from hpcjobs.clustering.exact import power_below, spare_bits
from hpcjobs.clustering.table import Table
from hpcjobs.kernels import kmeans as kernels
from hpcjobs.parallel.communicator import Communicator
from hpcjobs.parallel.randomness import Stream

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

BLOCK = 4096


class Masses:
    """Integer masses of the rows of all ranks, from which rows are drawn in proportion."""

    def __init__(self, values: Floats, rows: int, communicator: Communicator) -> None:
        """values (local rows,), not negative: put on a grid fine enough for their sum over `rows` to be exact."""
        self._comm = communicator
        largest = np.array([values.max(initial=0.0)])
        communicator.allreduce_max(largest)
        self._local = np.rint(values * power_below(float(largest[0]), spare_bits(rows))).astype(np.int64)
        self._blocks = np.add.reduceat(self._local, np.arange(0, len(self._local), BLOCK)) if len(values) else self._local
        self._ranks = communicator.allgather(np.array([self._blocks.sum()], dtype=np.int64))[:, 0]

    @property
    def total(self) -> int:
        return int(self._ranks.sum())

    def find(self, target: int) -> tuple[int, int]:
        """The rank that holds the row in which the running sum passes `target`, and the row there (-1 elsewhere)."""
        ends = np.cumsum(self._ranks)
        rank = int(np.searchsorted(ends, target, side="right"))
        if rank != self._comm.rank:
            return rank, -1
        target -= int(ends[rank] - self._ranks[rank])
        block_ends = np.cumsum(self._blocks)
        block = int(np.searchsorted(block_ends, target, side="right"))
        target -= int(block_ends[block] - self._blocks[block])
        inside = np.cumsum(self._local[block * BLOCK : (block + 1) * BLOCK])
        return rank, block * BLOCK + int(np.searchsorted(inside, target, side="right"))

    def remove(self, rank: int, local: int) -> None:
        """Take a drawn row out. Collective: its mass is told to all."""
        mass = np.zeros(1, dtype=np.int64)
        if rank == self._comm.rank:
            mass[0] = self._local[local]
            self._local[local] = 0
            self._blocks[local // BLOCK] -= mass[0]
        self._comm.allreduce_sum(mass)
        self._ranks[rank] -= mass[0]


def fetch(table: Table, found: list[tuple[int, int]]) -> Floats:
    """The drawn rows (draws, features) as float64, on every rank. Exact: bit patterns added to zeros."""
    rows = np.zeros((len(found), table.points.shape[1]))
    for draw, (rank, local) in enumerate(found):
        if rank == table.communicator.rank:
            rows[draw] = table.points[local]
    table.communicator.allreduce_sum(rows.view(np.int64))
    return rows


def weights_of(table: Table) -> Floats:
    return table.weights if len(table.weights) else np.ones(len(table.points))


def random_rows(table: Table, clusters: int, stream: Stream) -> Floats:
    """`clusters` different rows, drawn by weight without replacement."""
    masses = Masses(weights_of(table), table.rows, table.communicator)
    found = []
    for _ in range(clusters):
        # Fewer rows with weight than clusters: the last ones repeat the first, and stay empty.
        if masses.total == 0:
            found.append(found[len(found) % max(1, len(found))])
            continue
        found.append(masses.find(stream.below(masses.total)))
        masses.remove(*found[-1])
    return fetch(table, found)


def kmeans_plus_plus(table: Table, clusters: int, stream: Stream) -> Floats:
    """Greedy k-means++ (Arthur and Vassilvitskii, SODA 2007) with 2 + log(clusters) trials a centre.

    Each centre is the best of a few rows drawn by weight * squared distance to the centres so far; of equally good
    trials the first is taken. Once every row lies on a centre, rows are drawn by weight alone.
    """
    trials = 2 + int(math.log(clusters))
    comm = table.communicator
    weights = weights_of(table)
    by_weight = Masses(weights, table.rows, comm)
    centres = np.empty((clusters, table.points.shape[1]))
    centres[0] = fetch(table, [by_weight.find(stream.below(by_weight.total))])[0]
    closest = np.full(len(table.points), np.inf)
    _narrow(table, centres[:1], closest)
    for number in range(1, clusters):
        masses = Masses(weights * closest, table.rows, comm)
        if masses.total == 0:
            centres[number] = fetch(table, [by_weight.find(stream.below(by_weight.total))])[0]
            continue
        candidates = fetch(table, [masses.find(stream.below(masses.total)) for _ in range(trials)])
        centres[number] = candidates[int(np.argmin(_potentials(table, candidates, weights, closest)))]
        _narrow(table, centres[number : number + 1], closest)
    return centres


def _potentials(table: Table, candidates: Floats, weights: Floats, closest: Floats) -> Integers:
    """The exact sum of weight * closest squared distance that each candidate would leave. candidates (trials, d)."""
    comm = table.communicator
    largest = np.array([(weights * closest).max(initial=0.0)])
    comm.allreduce_max(largest)
    scale = power_below(float(largest[0]), spare_bits(table.rows))
    sums = np.zeros(len(candidates), dtype=np.int64)
    for start in range(0, len(closest), BLOCK):
        part = slice(start, start + BLOCK)
        out = np.empty((len(candidates), len(closest[part])))
        kernels.closer(table.points[part], candidates, closest[part], out)
        sums += np.rint(weights[part] * out * scale).astype(np.int64).sum(axis=1)
    comm.allreduce_sum(sums)
    return sums


def _narrow(table: Table, centre: Floats, closest: Floats) -> None:
    """Lower `closest` (rows,) in place by one more centre (1, features)."""
    for start in range(0, len(closest), BLOCK):
        part = slice(start, start + BLOCK)
        out = np.empty((1, len(closest[part])))
        kernels.closer(table.points[part], centre, closest[part], out)
        closest[part] = out[0]
