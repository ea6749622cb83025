"""k-means||: starting centres in a few passes (Bahmani et al., "Scalable k-means++", PVLDB 5(7), 2012)."""

import numpy as np
from numpy.typing import NDArray

from hpcjobs.clustering.exact import Grid
from hpcjobs.clustering.kmeans import assign
from hpcjobs.clustering.start import Masses, by_weight, fetch, kmeans_plus_plus
from hpcjobs.clustering.table import Table
from hpcjobs.parallel.communicator import SerialCommunicator
from hpcjobs.parallel.randomness import Stream, uniforms

Floats = NDArray[np.float64]

ROUNDS = 5
# Candidates a round, in clusters.
OVERSAMPLING = 2


def kmeans_parallel(table: Table, grid: Grid, clusters: int, seed: int, start: int) -> Floats:
    """Starting centres (clusters, features): candidates drawn in five rounds, weighted, and thinned out by k-means++.

    In each round every row is drawn by itself, by a random number of its own: with probability 2 * clusters times its
    share in the sum of weight * squared distance to the candidates so far. Where too few different rows are found,
    k-means++ chooses from all rows. Collective.
    """
    stream = Stream(seed, "k-means start", start)
    weights = by_weight(table)
    candidates = fetch(table, [weights.find(stream.below(weights.total))])
    closest = np.full(len(table.points), np.inf)
    fresh = candidates
    for turn in range(ROUNDS):
        _narrow(table, grid, fresh, closest)
        masses = Masses(table.weighted(lambda run: closest[run]), table.rows, table.communicator)
        if masses.total == 0:
            break
        drawn = _draw(table, masses, OVERSAMPLING * clusters, seed, start * ROUNDS + turn)
        fresh = fetch(table, drawn)
        candidates = np.concatenate([candidates, fresh])
    candidates = np.unique(candidates, axis=0)
    if len(candidates) < clusters:
        return kmeans_plus_plus(table, clusters, stream)
    labels = np.empty(len(table.points), dtype=np.int32)
    mass = grid.masses(assign(table, grid, candidates, labels).masses)
    alone = Table(candidates, mass, 0, len(candidates), SerialCommunicator(), len(candidates))
    return kmeans_plus_plus(alone, clusters, stream)


def _narrow(table: Table, grid: Grid, fresh: Floats, closest: Floats) -> None:
    """Lower the squared distance of each row to the candidates (rows,) by the new ones among them."""
    if len(fresh) == 0:
        return
    labels = np.empty(len(table.points), dtype=np.int32)
    assign(table, grid, fresh, labels)
    for run in table.runs():
        closest[run] = np.minimum(closest[run], table.squared_distances(fresh, labels, run))


def _draw(table: Table, masses: Masses, wanted: int, seed: int, turn: int) -> list[tuple[int, int]]:
    """The rows drawn, each by itself, as rank and local row, in the order of the rows. Collective."""
    share = wanted / masses.total
    mine: list[int] = []
    for start, block in masses.blocks():
        rows = np.arange(start, start + len(block)) if table.kept is None else table.kept[start : start + len(block)]
        first = int(rows[0])
        luck = uniforms(seed, "k-means||", turn, table.start + first, table.start + int(rows[-1]) + 1)
        mine += (start + np.flatnonzero(luck[rows - first] < block * share)).tolist()
    every = table.communicator.allgather_object(mine)
    return [(rank, row) for rank, rows in enumerate(every) for row in rows]
