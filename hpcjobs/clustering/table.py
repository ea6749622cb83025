"""The rows of one rank of a table that lies over all ranks."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpcjobs.clustering.exact import Column, Grid, exact_sum, make_grid, spare_bits
from hpcjobs.errors import DataError
from hpcjobs.kernels import kmeans as kernels
from hpcjobs.parallel.communicator import Communicator

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Labels = NDArray[np.int32]


@dataclass(frozen=True)
class Table:
    """points (local rows, features), weights (local rows,) or (0,) where every row weighs 1, and where they
    lie.

    `start` is the global row of the first local one; `kept` (local rows,) says which of the `dealt` rows they
    are when some were left out, else it is None. Ranks hold rows in order.
    """

    points: NDArray[np.generic]
    weights: Floats
    start: int
    rows: int  # over all ranks, counting those left out
    communicator: Communicator
    dealt: int  # rows of this rank, counting those left out
    kept: Integers | None = None

    def weighted(self, values: Callable[[slice], Floats]) -> Column:
        """weight * value of each local row, for values given by runs of rows."""
        if len(self.weights) == 0:
            return Column(len(self.points), values)
        return Column(len(self.points), lambda run: self.weights[run] * values(run))

    def squared_distances(self, centres: Floats, labels: Labels, run: slice) -> Floats:
        """Squared distance of each row of a run to the centre of its label: labels (local rows,)."""
        out = np.empty(run.stop - run.start)
        kernels.squared_distances(self.points[run], centres, labels[run], out)
        return out

    def distances_to(self, centre: Floats, run: slice) -> Floats:
        """Squared distance of each row of a run to one centre (features,)."""
        out = np.full(run.stop - run.start, np.inf)
        kernels.narrow(self.points[run], centre, out)
        return out


@dataclass(frozen=True)
class Survey:
    """What one look at all rows tells: the fixed-point grid and the spread of the features."""

    grid: Grid
    mean_variance: float
    squares: float  # sum of weight * |x - shift|^2


def survey(table: Table, low: Floats, high: Floats, heaviest: float | None) -> Survey:
    """Grid and spread of a table whose features lie within [low, high] (features,). Collective."""
    comm = table.communicator
    used = np.array([len(table.points)], dtype=np.int64)
    comm.allreduce_sum(used)
    if used[0] == 0:
        raise DataError("no row is left after leaving out those with missing values")
    single = table.points.dtype.itemsize <= 4
    grid = make_grid(low, high, int(used[0]), heaviest, single)
    plain = make_grid(low, high, int(used[0]), None, single)
    bits = spare_bits(int(used[0]))
    root_scale = 2.0 ** -((bits + 1) // 2)  # squares of terms below 2**bits come below 2**bits as well
    sums = np.zeros((4, table.points.shape[1]), dtype=np.int64)
    kernels.moments(table.points, plain.shift, plain.scale, root_scale, plain.low_scale, sums)
    comm.allreduce_sum(sums)
    mean = (sums[0] + sums[1] / plain.low_scale) / plain.scale / used[0]
    square = (sums[2] + sums[3] / plain.low_scale) / (plain.scale * root_scale) ** 2
    variance = np.maximum(square / used[0] - mean * mean, 0.0)
    squares = exact_sum(table.weighted(lambda run: table.distances_to(grid.shift, run)), table.rows, comm)
    return Survey(grid, float(variance.mean()), squares)
