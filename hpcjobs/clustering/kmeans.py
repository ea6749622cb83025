"""Lloyd's k-means on rows that lie over many ranks, exact: the same bits on any number of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.clustering.exact import Grid, exact_sum, runs
from hpcjobs.clustering.table import Survey, Table
from hpcjobs.data.streaming import take
from hpcjobs.kernels import kmeans as kernels

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Labels = NDArray[np.int32]


@dataclass(frozen=True)
class Totals:
    """Exact sums by cluster over all ranks: sums (lanes, clusters, features), masses (lanes, clusters)."""

    sums: Integers
    masses: Integers


def assign(table: Table, grid: Grid, centres: Floats, labels: Labels) -> Totals:
    """Label every row by its nearest centre, in place, and add the rows up by cluster. Collective."""
    return assign_each(table, grid, [centres], labels)[0]


def assign_each(table: Table, grid: Grid, many: Sequence[Floats], labels: Labels | None = None) -> list[Totals]:
    """`assign` for several sets of centres in one pass over the rows and one message. Collective.

    The labels are kept only where there is one set.
    """
    features = table.features
    counts = [grid.lanes * len(centres) for centres in many]
    buffer = np.zeros(sum(counts) * (features + 1), dtype=np.int64)
    found, at = [], 0
    for centres, count in zip(many, counts, strict=True):
        cut = at + count * features
        sums = buffer[at:cut].reshape(grid.lanes, len(centres), features)
        found.append(Totals(sums, buffer[cut : cut + count].reshape(grid.lanes, len(centres))))
        at = cut + count
    for run in table.runs():
        points, weights = table.points[run], table.weights_of(run)
        own = np.empty(len(points), dtype=np.int32) if labels is None or len(many) > 1 else labels[run]
        for centres, totals in zip(many, found, strict=True):
            _assign(points, weights, grid, centres, own, totals)
    table.communicator.allreduce_sum(buffer)
    return found


def _assign(points: NDArray[Any], weights: Floats, grid: Grid, centres: Floats, labels: Labels, totals: Totals) -> None:
    kernels.assign(
        points, weights, centres, grid.shift, grid.scale, grid.low_scale, grid.mass_scale,
        labels, totals.sums, totals.masses,
    )  # fmt: skip


def move(grid: Grid, totals: Totals, centres: Floats) -> Floats:
    """The mean of each cluster; a cluster without weight keeps its centre. centres (clusters, features)."""
    masses = grid.masses(totals.masses)[:, None]
    occupied = masses > 0
    means = grid.shift + grid.read_back(totals.sums) / np.where(occupied, masses, 1.0)
    return np.where(occupied, means, centres)


def refill(table: Table, grid: Grid, centres: Floats, labels: Labels, totals: Totals) -> int:
    """Give each empty cluster the row farthest from its own centre, as scikit-learn does. Collective.

    Empty clusters are served in order of their number, each by the farthest row left (the lowest global row
    on ties) of a cluster with more than one row. A row at distance 0 is never moved, so that more clusters
    than distinct rows leave some empty. Changes labels and totals in place; returns how many clusters stayed
    empty.
    """
    empty = np.flatnonzero(~totals.masses.any(axis=0))
    if len(empty) == 0:
        return 0
    comm = table.communicator
    members = count_members(table, labels, len(centres))
    # No row of a cluster of one is moved: of so many rows one is left to move each time, if any is.
    enough = int((members == 1).sum()) + 2 * len(empty)
    gathered = comm.allgather_object(_farthest(table, centres, labels, enough))
    # Ranks hold rows in order and the sort is stable, so that of rows equally far the lowest comes first.
    offers = iter(sorted((offer for some in gathered for offer in some), key=lambda offer: -offer.distance))
    share = Totals(np.zeros_like(totals.sums), np.zeros_like(totals.masses))
    left = len(empty)
    for target in empty:
        chosen = next((offer for offer in offers if members[offer.label] > 1), None)
        if chosen is None:
            break
        left -= 1
        members[chosen.label] -= 1
        members[target] += 1
        if chosen.rank == comm.rank:
            alone = _one_row(table, grid, chosen.row)
            for all_ranks, own in ((share.sums, alone.sums), (share.masses, alone.masses)):
                all_ranks[:, target] += own[:, 0]
                all_ranks[:, chosen.label] -= own[:, 0]
            labels[chosen.row] = target
    comm.allreduce_sum(share.sums)
    comm.allreduce_sum(share.masses)
    totals.sums[...] += share.sums
    totals.masses[...] += share.masses
    return left


def any_empty(totals: Totals) -> bool:
    """Whether a cluster has no weight."""
    return not bool(totals.masses.any(axis=0).all())


def count_members(table: Table, labels: Labels, clusters: int) -> Integers:
    """How many rows with weight each cluster has, over all ranks (clusters,). Collective."""
    members = np.zeros(clusters, dtype=np.int64)
    for run in runs(len(labels)):
        some = labels[run][table.weights[run] > 0] if len(table.weights) else labels[run]
        members += np.bincount(some, minlength=clusters)
    table.communicator.allreduce_sum(members)
    return members


@dataclass(frozen=True)
class Offer:
    """A row that could be moved: where it lies and how far from the centre of its label."""

    distance: float
    rank: int
    row: int
    label: int


def _farthest(table: Table, centres: Floats, labels: Labels, count: int) -> list[Offer]:
    """The `count` local rows farthest from their centres, the farthest first, the lower row first on ties."""
    distances, rows = np.zeros(0), np.zeros(0, dtype=np.int64)
    for run in runs(len(labels), table.block):
        block = table.squared_distances(centres, labels, run)
        if len(table.weights):
            block[table.weights[run] == 0] = 0.0
        farther = np.flatnonzero(block > (distances[-1] if len(distances) == count else 0.0))
        distances = np.concatenate([distances, block[farther]])
        rows = np.concatenate([rows, run.start + farther])
        order = np.argsort(-distances, kind="stable")[:count]
        distances, rows = distances[order], rows[order]
    rank = table.communicator.rank
    return [
        Offer(float(distance), rank, int(row), int(labels[row])) for distance, row in zip(distances, rows, strict=True)
    ]


def _one_row(table: Table, grid: Grid, row: int) -> Totals:
    """The totals of one row alone, in one cluster."""
    alone = Totals(np.zeros((grid.lanes, 1, table.features), dtype=np.int64), np.zeros((grid.lanes, 1), dtype=np.int64))
    anywhere, label = np.zeros((1, table.features)), np.zeros(1, dtype=np.int32)
    points = take(table.points, np.array([row]))
    _assign(points, table.weights_of(slice(row, row + 1)), grid, anywhere, label, alone)
    return alone


def inertia(table: Table, centres: Floats, labels: Labels) -> float:
    """Sum of weight * squared distance of each row to its centre, the same bits on any number of ranks."""
    column = table.weighted(lambda run: table.squared_distances(centres, labels, run))
    return exact_sum(column, table.rows, table.communicator)


def estimate_inertia(ground: Survey, totals: Totals, centres: Floats) -> float:
    """The inertia of an assignment from its totals alone, to about 1e-9 of the total spread.

    sum w |x - c|^2 = sum w |y|^2 - 2 sum_j S_j . c'_j + sum_j M_j |c'_j|^2, where y = x - shift and
    c' = c - shift: no further pass over the rows.
    """
    grid = ground.grid
    moved = centres - grid.shift
    sums = grid.read_back(totals.sums)
    masses = grid.masses(totals.masses)
    cross = float((sums * moved).sum())
    own = float((masses * (moved * moved).sum(axis=1)).sum())
    return max(0.0, ground.squares - 2 * cross + own)
