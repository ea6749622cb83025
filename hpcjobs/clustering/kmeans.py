"""Lloyd's k-means on rows that lie over many ranks, exact: the same bits on any number of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpcjobs.clustering.exact import Grid, exact_sum
from hpcjobs.clustering.table import Survey, Table
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
    clusters, features = centres.shape
    # One buffer, so that one message carries both.
    buffer = np.zeros(grid.lanes * clusters * (features + 1), dtype=np.int64)
    cut = grid.lanes * clusters * features
    sums = buffer[:cut].reshape(grid.lanes, clusters, features)
    masses = buffer[cut:].reshape(grid.lanes, clusters)
    kernels.assign(
        table.points, table.weights, centres, grid.shift, grid.scale, grid.low_scale, grid.mass_scale, labels, sums, masses
    )
    table.communicator.allreduce_sum(buffer)
    return Totals(sums, masses)


def move(grid: Grid, totals: Totals, centres: Floats) -> Floats:
    """The mean of each cluster; a cluster without weight keeps its centre. centres (clusters, features)."""
    masses = grid.masses(totals.masses)[:, None]
    occupied = masses > 0
    means = grid.shift + grid.read_back(totals.sums) / np.where(occupied, masses, 1.0)
    return np.where(occupied, means, centres)


def refill(table: Table, grid: Grid, centres: Floats, labels: Labels, totals: Totals) -> int:
    """Give each empty cluster the row farthest from its own centre, as scikit-learn does. Collective.

    Empty clusters are served in order of their number, each by the farthest row left (the lowest global row on ties)
    of a cluster with more than one row. A row at distance 0 is never moved, so that more clusters than distinct rows
    leave some empty. Changes labels and totals in place; returns how many clusters stayed empty.
    """
    empty = np.flatnonzero(totals.masses[0] == 0)
    if len(empty) == 0:
        return 0
    comm = table.communicator
    clusters = len(centres)
    members = np.bincount(labels, minlength=clusters).astype(np.int64)
    comm.allreduce_sum(members)
    distances = np.empty(len(labels))
    kernels.squared_distances(table.points, centres, labels, distances)
    if len(table.weights):
        distances[table.weights == 0] = 0.0
    for served, target in enumerate(empty):
        eligible = np.where(members[labels] > 1, distances, 0.0)
        local = int(np.argmax(eligible)) if len(eligible) else -1
        farthest = float(eligible[local]) if local >= 0 else 0.0
        offer = (farthest, table.global_row(local) if local >= 0 else -1, int(labels[local]) if local >= 0 else -1)
        offers = comm.allgather_object(offer)
        # Ranks hold rows in order, so the first of equal offers has the lowest row.
        winner = max(range(comm.size), key=lambda rank: (offers[rank][0], -rank))
        if offers[winner][0] == 0.0:
            return len(empty) - served
        donor = offers[winner][2]
        share = Totals(np.zeros_like(totals.sums), np.zeros_like(totals.masses))
        if winner == comm.rank:
            _single_row(table, grid, local, int(target), share)
            labels[local] = target
            distances[local] = 0.0
        comm.allreduce_sum(share.sums)
        comm.allreduce_sum(share.masses)
        totals.sums[:, target] += share.sums[:, target]
        totals.masses[:, target] += share.masses[:, target]
        totals.sums[:, donor] -= share.sums[:, target]
        totals.masses[:, donor] -= share.masses[:, target]
        members[donor] -= 1
        members[target] += 1
    return 0


def _single_row(table: Table, grid: Grid, local: int, cluster: int, share: Totals) -> None:
    """What one row adds to the totals, entered under `cluster`."""
    weights = table.weights[local : local + 1]
    row = table.points[local : local + 1]
    sums = np.zeros((grid.lanes, 1, row.shape[1]), dtype=np.int64)
    masses = np.zeros((grid.lanes, 1), dtype=np.int64)
    anywhere = np.zeros((1, row.shape[1]))
    label = np.zeros(1, dtype=np.int32)
    kernels.assign(
        row, weights, anywhere, grid.shift, grid.scale, grid.low_scale, grid.mass_scale, label, sums, masses
    )
    share.sums[:, cluster] = sums[:, 0]
    share.masses[:, cluster] = masses[:, 0]


def inertia(table: Table, centres: Floats, labels: Labels) -> float:
    """Sum of weight * squared distance of each row to the centre of its label, exact over ranks. Collective."""
    distances = np.empty(len(labels))
    kernels.squared_distances(table.points, centres, labels, distances)
    if len(table.weights):
        distances *= table.weights
    return exact_sum(distances, table.rows, table.communicator)


def estimate_inertia(ground: Survey, totals: Totals, centres: Floats) -> float:
    """The inertia of an assignment from its totals alone, to about 1e-9 of the total spread.

    sum w |x - c|^2 = sum w |y|^2 - 2 sum_j S_j . c'_j + sum_j M_j |c'_j|^2 with y = x - shift, c' = c - shift:
    no further pass over the rows.
    """
    grid = ground.grid
    moved = centres - grid.shift
    sums = grid.read_back(totals.sums)
    masses = grid.masses(totals.masses)
    cross = float((sums * moved).sum())
    own = float((masses * (moved * moved).sum(axis=1)).sum())
    return max(0.0, ground.squares - 2 * cross + own)
