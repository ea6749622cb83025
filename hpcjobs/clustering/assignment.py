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

WORTH = 0.4  # of all distances: where more are needed with bounds, they do not pay
LONGEST_PAUSE = 8  # iterations
MOST_BOUNDED = 4096  # clusters: the distances between more take too much memory, and too long


class Assignment:
    """Labels (local rows,) for some centres, sums of this rank by cluster, and bounds of distances where they pay.

    What it spares differs from rank to rank; what it finds does not: labels and totals are those of `kmeans.assign`.
    """

    def __init__(self, rows: int) -> None:
        self.labels: Labels = np.empty(rows, dtype=np.int32)
        self._centres: Floats | None = None  # that labels, sums and bounds are of
        self._buffer = np.empty(0, dtype=np.int64)
        self._own: Totals | None = None  # in the buffer
        self._upper = self._lower = np.empty(0, dtype=np.float32)
        self._bounded = False  # whether the bounds are right
        self._pause = self._left = 1  # iterations without them after they did not pay, and how many are to come

    def forget(self) -> None:
        """Somebody else has written labels: begin anew."""
        self._centres = None

    def update(self, table: Table, grid: Grid, centres: Floats) -> Totals:
        """Label every row by its nearest centre and add the rows up by cluster, over all ranks. Collective."""
        before = self._centres
        if before is None or before.shape != centres.shape:
            self._buffer, (self._own,) = kmeans.room(grid, [len(centres)], table.features)
            kmeans.add_up(table, grid, [centres], [self._own], self.labels)
            self._bounded, self._pause, self._left = False, 1, 1
        else:
            self._correct(table, grid, before, centres)
        self._centres = centres.copy()
        buffer, (totals,) = kmeans.room(grid, [len(centres)], table.features)
        buffer[:] = self._buffer
        table.communicator.allreduce_sum(buffer)
        return totals

    def _correct(self, table: Table, grid: Grid, before: Floats, centres: Floats) -> None:
        """Labels and sums of this rank for centres that have moved."""
        assert self._own is not None
        if len(self._upper) == 0:
            self._upper, self._lower = (np.empty(len(self.labels), dtype=np.float32) for _ in range(2))
        unit, features, clusters = unit_of(grid, bool(len(table.weights))), table.features, len(centres)
        self._left -= 1
        keep = self._bounded or (self._left <= 0 and clusters <= MOST_BOUNDED)
        apart = np.empty((clusters, clusters) if self._bounded else (0, 0), dtype=np.float32)
        if self._bounded:
            between(centres, unit, apart)
        with np.errstate(over="ignore"):
            length = np.sqrt(((centres - before) ** 2).sum(axis=1))
        moved = length * unit * (1 + (features + 16) * 2.0**-51) + unit * math.sqrt(features) * 2.0**-535
        compared = 0
        for run in table.runs():
            compared += reassign(
                table.points[run], table.weights_of(run), centres, moved, apart, unit, grid.shift, grid.scale,
                grid.low_scale, grid.mass_scale, self.labels[run], self._upper[run], self._lower[run],
                self._own.sums, self._own.masses, self._bounded, keep,
            )  # fmt: skip
        if not self._bounded:
            self._bounded = keep
        elif compared > WORTH * len(self.labels) * clusters:
            self._bounded, self._left = False, self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        else:
            self._pause = 1


def beside(rows: int, clusters: int) -> int:
    """Memory in bytes that an update takes for a moment: rows gathered by label, distances between centres."""
    between_centres = 4 * clusters**2 if clusters <= MOST_BOUNDED else 0
    return 24 * min(rows, max(2**16, 512 * clusters)) + between_centres  # as kernels/cpu/bounds.py takes rows


def unit_of(grid: Grid, weighted: bool) -> float:
    """The power of two by which distances between rows become about 1."""
    reach = 2.0 * (grid.mass_scale if weighted else grid.low_scale) / grid.scale
    return math.ldexp(1.0, -math.frexp(float(reach.max()))[1])
