"""The rows of one rank of a table that lies over all ranks."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.clustering.exact import BLOCK, Column, Grid, exact_sum, make_grid, runs, spare_bits
from hpcjobs.data.streaming import Streamed
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
    are when some were left out, else it is None. Ranks hold rows in order. Points that stay in their file are read
    run by run.
    """

    points: NDArray[Any] | Streamed
    weights: Floats
    start: int
    rows: int  # over all ranks, counting those left out
    communicator: Communicator
    dealt: int  # rows of this rank, counting those left out
    kept: Integers | None = None

    @property
    def features(self) -> int:
        return self.points.shape[1]

    @property
    def block(self) -> int:
        """Rows whose float64 temporaries are small."""
        return min(BLOCK, self.points.block) if isinstance(self.points, Streamed) else BLOCK

    def runs(self) -> Iterator[slice]:
        """The runs of rows in which a pass goes over the table: one, or as much as is in memory at a time."""
        block = self.points.block if isinstance(self.points, Streamed) else max(1, len(self.points))
        return runs(len(self.points), block)

    def place(self) -> tuple[int, int]:
        """How many rows the ranks before this one hold, and all of them, without those left out. Collective."""
        comm = self.communicator
        lengths = comm.allgather(np.array([len(self.points)], dtype=np.int64))[:, 0]
        return int(lengths[: comm.rank].sum()), int(lengths.sum())

    def weights_of(self, run: slice) -> Floats:
        """The weights of a run of rows; none where every row weighs 1."""
        return self.weights[run] if len(self.weights) else self.weights

    def column(self, values: Callable[[slice], Floats]) -> Column:
        """A value of each local row, given by runs of rows."""
        return Column(len(self.points), values, self.block)

    def weighted(self, values: Callable[[slice], Floats]) -> Column:
        """weight * value of each local row, for values given by runs of rows."""
        if len(self.weights) == 0:
            return self.column(values)
        return self.column(lambda run: self.weights[run] * values(run))

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
class Spread:
    """Mean and variance of each feature (features,), of rows without regard to their weights."""

    mean: Floats
    variance: Floats


@dataclass(frozen=True)
class Survey:
    """What one look at all rows tells: the fixed-point grid and the spread of the features."""

    grid: Grid
    spread: Spread
    squares: float  # sum of weight * |x - shift|^2

    @property
    def mean_variance(self) -> float:
        return float(self.spread.variance.mean())


def count_used(table: Table) -> int:
    """How many rows there are over all ranks without those left out. Collective."""
    _, used = table.place()
    if used == 0:
        raise DataError("no row is left after leaving out those with missing values")
    return used


def spread(table: Table, low: Floats, high: Floats, used: int) -> Spread:
    """Mean and variance of features that lie within [low, high] (features,), from exact sums. Collective."""
    blocks = (table.points[run] for run in table.runs())
    return spread_of(blocks, low, high, used, table.points.dtype.itemsize <= 4, table.communicator)


def spread_of(
    blocks: Iterable[NDArray[Any]], low: Floats, high: Floats, used: int, single: bool, communicator: Communicator
) -> Spread:
    """`spread` of `used` rows over all ranks, of which `blocks` (rows, features) are those here. Collective."""
    plain = make_grid(low, high, used, None, single)
    bits = spare_bits(used)
    root_scale = 2.0 ** -((bits + 1) // 2)  # squares of terms below 2**bits come below 2**bits as well
    sums = np.zeros((4, len(low)), dtype=np.int64)
    for points in blocks:
        kernels.moments(points, plain.shift, plain.scale, root_scale, plain.low_scale, sums)
    communicator.allreduce_sum(sums)
    mean = (sums[0] + sums[1] / plain.low_scale) / plain.scale / used
    root = plain.scale * root_scale  # whose own square may overflow
    square = (sums[2] + sums[3] / plain.low_scale) / root / root
    return Spread(plain.shift + mean, np.maximum(square / used - mean * mean, 0.0))


def survey(table: Table, low: Floats, high: Floats, heaviest: float | None) -> Survey:
    """Grid and spread of a table whose features lie within [low, high] (features,). Collective."""
    used = count_used(table)
    grid = make_grid(low, high, used, heaviest, table.points.dtype.itemsize <= 4)
    column = table.weighted(lambda run: table.distances_to(grid.shift, run))
    return Survey(grid, spread(table, low, high, used), exact_sum(column, table.rows, table.communicator))
