"""How good a clustering is: measures of one assignment, the same bits on any number of ranks.

Simplified silhouette: Hruschka, de Castro and Campello (2004), the distance to a cluster being that to its centre.
Davies-Bouldin: Davies and Bouldin, IEEE PAMI 1 (1979). Calinski-Harabasz: Calinski and Harabasz (1974). Silhouette:
Rousseeuw (1987).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpcjobs.clustering.exact import Column, Grid, exact_sum, exact_sums, runs
from hpcjobs.clustering.kmeans import Totals, count_members, move
from hpcjobs.clustering.table import Labels, Table
from hpcjobs.kernels import kmeans as kernels
from hpcjobs.kernels.quality import distance_sums, second_nearest

Floats = NDArray[np.float64]

# The exact silhouette looks at every pair of rows, all of which each rank then holds: above these it is left out.
MOST_PAIRED_ROWS = 10_000
MOST_PAIRED_VALUES = 2**24
# Rows compared with all others at a time: their sums by cluster are small.
PAIRED_AT_A_TIME = 256


@dataclass(frozen=True)
class Quality:
    """simplified_silhouette and silhouette lie in [-1, 1], more is better; of davies_bouldin less, of the last more.

    NaN where a measure is not defined: fewer than two clusters, or too many rows for the exact silhouette.
    """

    simplified_silhouette: float
    silhouette: float
    davies_bouldin: float
    calinski_harabasz: float


def measure(table: Table, grid: Grid, centres: Floats, labels: Labels, totals: Totals) -> Quality:
    """The quality of labels (local rows,) by centres (clusters, features), `totals` being their sums, in one more look
    at the rows. Collective.
    """
    masses = grid.masses(totals.masses)
    occupied = masses > 0
    if occupied.sum() < 2:
        return Quality(np.nan, np.nan, np.nan, np.nan)
    means = move(grid, totals, centres)
    alone = count_members(table, labels, len(centres)) == 1
    scores, squares = np.empty(len(labels)), np.empty(len(labels))
    for run in runs(len(labels), table.block):
        scores[run] = np.where(alone[labels[run]], 0.0, _simplified(table, centres, occupied, labels, run))
        squares[run] = table.squared_distances(means, labels, run)
    simplified = exact_sum(table.weighted(lambda run: scores[run]), table.rows, table.communicator)
    within = exact_sum(table.weighted(lambda run: squares[run]), table.rows, table.communicator)
    total, count = float(masses.sum()), int(occupied.sum())
    overall = (masses[:, None] * means)[occupied].sum(axis=0) / total
    between = float((masses * ((means - overall) ** 2).sum(axis=1))[occupied].sum())
    free = total - count
    harabasz = between * free / (within * (count - 1)) if within > 0 else np.inf
    return Quality(
        simplified / total,
        silhouette(table, labels, len(centres)),
        _davies_bouldin(table, means, labels, masses, squares),
        harabasz if free > 0 else np.nan,
    )


def _simplified(table: Table, centres: Floats, occupied: NDArray[np.bool_], labels: Labels, run: slice) -> Floats:
    """(b - a) / b for each row of a run: a the distance to its centre, b that to the nearest other one."""
    points, own, other = table.points[run], np.empty(run.stop - run.start), np.empty(run.stop - run.start)
    kernels.squared_distances(points, centres, labels[run], own)
    second_nearest(points, centres, occupied.astype(np.uint8), labels[run], other)
    own, other = np.sqrt(own), np.sqrt(other)
    return np.where(other > 0, (other - own) / np.where(other > 0, other, 1.0), 0.0)


def _davies_bouldin(table: Table, means: Floats, labels: Labels, masses: Floats, squares: Floats) -> float:
    """The mean over clusters of how much the worst other one overlaps it; squares (local rows,): distances to means."""
    occupied = masses > 0
    column = table.weighted(lambda run: np.sqrt(squares[run]))
    sums = exact_sums(column, labels, len(means), table.rows, table.communicator)[occupied]
    width, means = sums / masses[occupied], means[occupied]
    worst = np.zeros(len(means))
    for number, mean in enumerate(means):
        apart = np.sqrt(((means - mean) ** 2).sum(axis=1))
        apart[number] = np.inf
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = (width + width[number]) / apart  # two clusters in one place overlap without bound
        worst[number] = np.nanmax(ratio)
    return float(worst.mean())


def silhouette(table: Table, labels: Labels, clusters: int) -> float:
    """The mean silhouette of all rows, each of the same weight; NaN where there are too many. Collective."""
    comm = table.communicator
    first, rows = table.place()
    if rows > MOST_PAIRED_ROWS or rows * table.features > MOST_PAIRED_VALUES:
        return np.nan
    every = np.zeros((rows, table.features))
    numbers = np.zeros(rows, dtype=np.int64)
    for run in runs(len(labels), table.block):
        place = slice(first + run.start, first + run.stop)
        every[place], numbers[place] = table.points[run], labels[run]
    comm.allreduce_sum(every.view(np.int64))  # bit patterns added to zeros
    comm.allreduce_sum(numbers)
    members = np.bincount(numbers, minlength=clusters)
    everyone = numbers.astype(np.int32)
    shifted = np.empty(len(labels))  # plus 1, so that no silhouette is negative
    for run in runs(len(labels), PAIRED_AT_A_TIME):
        own = labels[run]
        sums = np.empty((len(own), clusters))
        distance_sums(every[first + run.start : first + run.stop], every, everyone, sums)
        here = np.arange(len(own))
        within = sums[here, own] / np.maximum(members[own] - 1, 1)
        sums[here, own] = np.inf
        sums[:, members == 0] = np.inf
        other = (sums / np.maximum(members, 1)).min(axis=1)
        most = np.maximum(within, other)
        shifted[run] = 1.0 + np.where(
            (members[own] > 1) & (most > 0), (other - within) / np.where(most > 0, most, 1.0), 0.0
        )
    return exact_sum(Column(len(shifted), lambda run: shifted[run]), rows, comm) / rows - 1.0
