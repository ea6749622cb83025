"""The assignment of rows to clusters that is kept between the iterations of one fit, so that little is left to do."""

import math

import numpy as np
from numpy.typing import NDArray

from hpcjobs.clustering import kmeans
from hpcjobs.clustering.exact import Grid
from hpcjobs.clustering.kmeans import Totals
from hpcjobs.clustering.table import Labels, Table
from hpcjobs.kernels.bounds import between, reassign

Floats = NDArray[np.float64]

LOOK_AGAIN = 4  # iterations
MOST_BOUNDED = 4096  # clusters: the distances between more take too much memory, and too long


class Assignment:
    """Labels (local rows,) for some centres, sums of this rank by cluster, and bounds of the distances of each row.

    What it spares differs from rank to rank; what it finds does not: labels and totals are those of `kmeans.assign`.
    """

    def __init__(self, rows: int) -> None:
        self.labels: Labels = np.empty(rows, dtype=np.int32)
        self._centres: Floats | None = None  # that labels, sums and bounds are of
        self._buffer = np.empty(0, dtype=np.int64)
        self._own: Totals | None = None  # in the buffer
        self._upper = self._lower = np.empty(0, dtype=np.float32)
        self._share = 1.0  # of all distances, that were worked out last time
        self._turns = 0

    def forget(self) -> None:
        """Somebody else has written labels: begin anew."""
        self._centres = None

    def update(self, table: Table, grid: Grid, centres: Floats) -> Totals:
        """Label every row by its nearest centre and add the rows up by cluster, over all ranks. Collective."""
        before = self._centres
        if before is None or before.shape != centres.shape or len(centres) > MOST_BOUNDED:
            self._begin(table, grid, centres)
        else:
            self._correct(table, grid, before, centres)
        self._centres = centres.copy()
        buffer, (totals,) = kmeans.room(grid, [len(centres)], table.features)
        buffer[:] = self._buffer
        table.communicator.allreduce_sum(buffer)
        return totals

    def _begin(self, table: Table, grid: Grid, centres: Floats) -> None:
        """Labels and sums of this rank for the first time; nothing is known of distances."""
        self._buffer, (self._own,) = kmeans.room(grid, [len(centres)], table.features)
        kmeans.add_up(table, grid, [centres], [self._own], self.labels)
        self._upper[:], self._lower[:], self._share = np.inf, 0.0, 1.0

    def _correct(self, table: Table, grid: Grid, before: Floats, centres: Floats) -> None:
        """Labels and sums of this rank for centres that have moved."""
        assert self._own is not None
        if len(self._upper) == 0:
            self._upper = np.full(len(self.labels), np.inf, dtype=np.float32)
            self._lower = np.zeros(len(self.labels), dtype=np.float32)
        unit, features = unit_of(grid, bool(len(table.weights))), table.features
        with np.errstate(over="ignore"):
            length = np.sqrt(((centres - before) ** 2).sum(axis=1))
        moved = length * unit * (1 + (features + 16) * 2.0**-51) + unit * math.sqrt(features) * 2.0**-535
        apart = np.empty((len(centres), len(centres)), dtype=np.float32)
        between(centres, unit, apart)
        self._turns += 1
        # Now and then gathering is tried although most distances were needed before.
        share = 0.0 if self._turns % LOOK_AGAIN == 0 else self._share
        compared = 0
        for run in table.runs():
            compared += reassign(
                table.points[run], table.weights_of(run), centres, moved, apart, unit, grid.shift, grid.scale,
                grid.low_scale, grid.mass_scale, self.labels[run], self._upper[run], self._lower[run],
                self._own.sums, self._own.masses, share,
            )  # fmt: skip
        self._share = compared / max(1, len(self.labels) * len(centres))


def unit_of(grid: Grid, weighted: bool) -> float:
    """The power of two by which distances between rows become about 1."""
    reach = 2.0 * (grid.mass_scale if weighted else grid.low_scale) / grid.scale
    return math.ldexp(1.0, -math.frexp(float(reach.max()))[1])
