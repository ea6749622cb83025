"""Reassignment equals assignment, and the bounds that it keeps hold."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hpcjobs.clustering.assignment import unit_of
from hpcjobs.clustering.exact import Grid, make_grid
from hpcjobs.kernels import bounds
from hpcjobs.kernels import kmeans as kernels

Floats = NDArray[np.float64]
Points = NDArray[Any]
NO_WEIGHTS = np.zeros(0)
RNG = np.random.default_rng(5)


def blobs(rows: int, features: int, clusters: int, spread: float, dtype: str = "float32") -> Points:
    centres = spread * RNG.normal(size=(clusters, features))
    return (RNG.normal(size=(rows, features)) + centres[RNG.integers(clusters, size=rows)]).astype(dtype)


DATA: dict[str, Points] = {
    "apart": blobs(1500, 5, 12, 10.0),
    "overlapping": blobs(1500, 20, 12, 0.5),
    "float64": blobs(700, 3, 12, 5.0, "float64"),
    "bytes": RNG.integers(256, size=(900, 4), dtype=np.uint8),
    "lattice": RNG.integers(4, size=(900, 3)).astype(np.float32),
    "far from the origin": blobs(900, 4, 12, 10.0) + np.float32(1e8),
    "duplicates": blobs(30, 4, 12, 10.0)[RNG.integers(30, size=900)],
    "one feature": blobs(600, 1, 12, 10.0),
    "all alike": np.ones((600, 3), dtype=np.float32),
    "squares underflow": blobs(600, 3, 12, 10.0, "float64") * 1e-165,
    "huge": blobs(600, 3, 12, 10.0, "float64") * 1e140,
    "more than a chunk": blobs(70_000, 2, 12, 10.0),
}


class Kept:
    """What a run of iterations keeps, brought up to date by one implementation."""

    def __init__(self, points: Points, weights: Floats, grid: Grid, centres: Floats) -> None:
        self.points, self.weights, self.grid, self.centres = points, weights, grid, centres
        self.unit = unit_of(grid, bool(len(weights)))
        self.labels = np.empty(len(points), dtype=np.int32)
        self.sums, self.masses = totals(grid, centres)
        assign(points, weights, grid, centres, self.labels, self.sums, self.masses)
        self.upper = np.full(len(points), np.inf, dtype=np.float32)
        self.lower = np.zeros(len(points), dtype=np.float32)
        self.share, self.bounded = 1.0, False

    def follow(self, centres: Floats, reference: bool = False, keep: bool = True) -> None:
        """The next assignment."""
        between = bounds.between.reference if reference else bounds.between
        reassign = bounds.reassign.reference if reference else bounds.reassign
        moved = np.sqrt(((centres - self.centres) ** 2).sum(axis=1)) * self.unit * 1.0001 + 2.0**-90
        apart = np.empty((len(centres), len(centres)), dtype=np.float32)
        grid = self.grid
        with np.errstate(over="ignore", under="ignore"):
            between(centres, self.unit, apart)
            found = reassign(
                self.points, self.weights, centres, moved, apart, self.unit, grid.shift, grid.scale, grid.low_scale,
                grid.mass_scale, self.labels, self.upper, self.lower, self.sums, self.masses, self.bounded, keep,
            )  # fmt: skip
        self.centres, self.bounded, self.share = centres, keep, found / (len(self.points) * len(centres))


def totals(grid: Grid, centres: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.zeros((grid.lanes, *centres.shape), dtype=np.int64), np.zeros((grid.lanes, len(centres)), dtype=np.int64)


def assign(
    points: Points, weights: Floats, grid: Grid, centres: Floats, labels: NDArray[np.int32], *sums: NDArray[np.int64]
) -> None:
    kernels.assign(points, weights, centres, grid.shift, grid.scale, grid.low_scale, grid.mass_scale, labels, *sums)


def grid_of(points: Points, weights: Floats) -> Grid:
    wide = points.astype(np.float64)
    heaviest = float(weights.max()) if len(weights) else None
    return make_grid(wide.min(axis=0), wide.max(axis=0), len(points), heaviest, points.dtype.itemsize <= 4)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("clusters", [1, 2, 12, 60])
@pytest.mark.parametrize("name", DATA)
def test_labels_and_sums_are_those_of_an_assignment_from_scratch(name: str, clusters: int, weighted: bool) -> None:
    points = DATA[name]
    rng = np.random.default_rng(6)
    weights = rng.random(len(points)) if weighted else NO_WEIGHTS
    grid = grid_of(points, weights)
    centres = points[rng.choice(len(points), clusters, replace=False)].astype(np.float64)
    kept = Kept(points, weights, grid, centres)
    for step in range(12):
        labels, (sums, masses) = np.empty(len(points), dtype=np.int32), totals(grid, centres)
        assign(points, weights, grid, centres, labels, sums, masses)
        np.testing.assert_array_equal(kept.labels, labels)
        np.testing.assert_array_equal(kept.sums, sums)
        np.testing.assert_array_equal(kept.masses, masses)
        if kept.bounded:
            check_bounds(kept)
        whole = grid.masses(masses)[:, None]
        means = grid.shift + grid.read_back(sums) / np.where(whole > 0, whole, 1.0)
        centres = np.where(whole > 0, means, centres)
        if step == 8:  # a centre that jumps
            centres = centres.copy()
            centres[0] = points[0].astype(np.float64)
        kept.follow(centres, keep=step not in (0, 5))


def check_bounds(kept: Kept) -> None:
    """In long double: no distance is beyond its bound."""
    some = slice(0, 500)
    rows = kept.points[some].astype(np.longdouble)
    distances = np.sqrt(((rows[:, None] - kept.centres.astype(np.longdouble)) ** 2).sum(axis=2)) * kept.unit
    number, labels = np.arange(len(distances)), kept.labels[some]
    assert (kept.upper[some] >= distances[number, labels]).all()
    distances[number, labels] = np.inf
    assert (kept.lower[some] <= distances.min(axis=1)).all()


@pytest.mark.parametrize("name", ["apart", "lattice", "float64", "bytes"])
def test_the_definition_leaves_the_same_as_its_twin(name: str) -> None:
    points = DATA[name][:300]
    weights = np.random.default_rng(7).random(len(points))
    grid = grid_of(points, weights)
    first = points[:7].astype(np.float64)
    both = [Kept(points, weights, grid, first) for _ in range(2)]
    for step in range(4):
        moved = first + 0.3 * step * np.random.default_rng(step).normal(size=first.shape)
        for kept, reference in zip(both, (True, False), strict=True):
            kept.follow(moved, reference)
            check_bounds(kept)
        np.testing.assert_array_equal(both[0].labels, both[1].labels)
        np.testing.assert_array_equal(both[0].sums, both[1].sums)
        np.testing.assert_array_equal(both[0].masses, both[1].masses)


def test_rows_that_lie_apart_are_not_looked_at_again() -> None:
    points = DATA["apart"]
    grid = grid_of(points, NO_WEIGHTS)
    centres = points[np.random.default_rng(8).choice(len(points), 12, replace=False)].astype(np.float64)
    kept = Kept(points, NO_WEIGHTS, grid, centres)
    for _ in range(3):
        kept.follow(centres)
    assert kept.share < 0.05


def test_no_rows_need_no_work() -> None:
    points, grid = np.zeros((0, 3), dtype=np.float32), grid_of(DATA["all alike"], NO_WEIGHTS)
    kept = Kept(points, NO_WEIGHTS, grid, np.eye(3))
    apart = np.zeros((3, 3), dtype=np.float32)
    for reassign in (bounds.reassign.reference, bounds.reassign.twin(points)):
        assert (
            reassign(
                points, NO_WEIGHTS, np.eye(3), np.zeros(3), apart, 1.0, grid.shift, grid.scale, grid.low_scale,
                grid.mass_scale, kept.labels, kept.upper, kept.lower, kept.sums, kept.masses, False, True,
            )
            == 0
        )  # fmt: skip
