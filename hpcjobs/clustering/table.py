"""The rows of one rank of a table that lies over all ranks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpcjobs.clustering.exact import Grid, exact_sum, make_grid
from hpcjobs.errors import DataError
from hpcjobs.kernels import kmeans as kernels
from hpcjobs.parallel.communicator import Communicator

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Table:
    """points (local rows, features), weights (local rows,) or (0,), and the global number of each row.

    `start` is the global row of the first local one; `kept` (local rows,) says which global rows they are when some
    were left out, else it is None and they follow one another.
    """

    points: NDArray[np.generic]
    weights: Floats
    start: int
    rows: int  # over all ranks, counting those left out
    communicator: Communicator
    dealt: int  # rows of this rank, counting those left out
    kept: Integers | None = None

    def global_row(self, local: int) -> int:
        """The global number of a local row."""
        return self.start + (local if self.kept is None else int(self.kept[local]))

    def weight(self, local: int) -> float:
        return float(self.weights[local]) if len(self.weights) else 1.0


@dataclass(frozen=True)
class Survey:
    """What one look at all rows tells: the fixed-point grid and the spread of the features."""

    grid: Grid
    mean_variance: float
    squares: float  # sum of weight * |x - shift|^2


def survey(table: Table, low: Floats, high: Floats, heaviest: float | None) -> Survey:
    """Grid and variance of a table whose features lie within [low, high] (features,), the same on every rank."""
    comm = table.communicator
    used = np.array([len(table.points)], dtype=np.int64)
    comm.allreduce_sum(used)
    if used[0] == 0:
        raise DataError("no row is left after leaving out those with missing values")
    single = table.points.dtype.itemsize <= 4
    grid = make_grid(low, high, int(used[0]), heaviest, single)
    plain = make_grid(low, high, int(used[0]), None, single)
    sums = np.zeros((4, table.points.shape[1]), dtype=np.int64)
    kernels.moments(table.points, plain.shift, plain.scale, plain.low_scale, sums)
    comm.allreduce_sum(sums)
    mean = (sums[0] + sums[1] / plain.low_scale) / plain.scale / used[0]
    square = (sums[2] + sums[3] / plain.low_scale) / (plain.scale * 2.0**-31) ** 2
    variance = np.maximum(square / used[0] - mean * mean, 0.0)
    to_shift = np.empty(len(table.points))
    kernels.squared_distances(
        table.points, grid.shift[np.newaxis], np.zeros(len(table.points), dtype=np.int32), to_shift
    )
    squares = exact_sum(to_shift * table.weights if len(table.weights) else to_shift, table.rows, comm)
    return Survey(grid, float(variance.mean()), squares)
