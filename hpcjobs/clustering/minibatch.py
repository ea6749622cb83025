"""Mini-batch k-means (Sculley, "Web-scale k-means clustering", WWW 2010): each step moves the centres by a few rows."""

import numpy as np
from numpy.typing import NDArray

from hpcjobs.clustering.exact import Grid
from hpcjobs.clustering.kmeans import Totals
from hpcjobs.clustering.table import Table
from hpcjobs.data.streaming import take
from hpcjobs.parallel.randomness import uniforms

Floats = NDArray[np.float64]


def draw(table: Table, size: int, seed: int, start: int, step: int) -> Table:
    """The batch of one step of one start: rows drawn with replacement, the same ones on any number of ranks.

    Drawn are `size` of the rows that were not left out, or as many as these are; each rank holds those that are its
    own. Collective.
    """
    before, used = table.place()
    size = min(size, used)
    luck = uniforms(seed, "k-means batch", start, step * size, (step + 1) * size)
    rows = np.sort((luck * used).astype(np.int64)) - before
    rows = rows[(rows >= 0) & (rows < len(table.points))]
    weights = table.weights[rows] if len(table.weights) else table.weights
    return Table(take(table.points, rows), weights, 0, size, table.communicator, len(rows))


def move(grid: Grid, totals: Totals, centres: Floats, seen: Floats) -> tuple[Floats, Floats]:
    """Centres (clusters, features) after a batch, and the weight (clusters,) that each has seen by then.

    A centre stays the mean of all rows that it was ever given: it moves by the share of the batch in that weight.
    """
    masses = grid.masses(totals.masses)
    after = seen + masses
    means = grid.shift + grid.read_back(totals.sums) / np.where(masses > 0, masses, 1.0)[:, None]
    share = np.where(masses > 0, masses / np.where(after > 0, after, 1.0), 0.0)[:, None]
    return centres + (means - centres) * share, after


def smooth(before: float, shift: float, size: int, rows: int) -> float:
    """The squared shift of the centres, averaged over the last batches: about as many as make up the rows."""
    if not np.isfinite(before):
        return shift
    weight = min(1.0, 2.0 * size / (rows + 1))
    return before + (shift - before) * weight
