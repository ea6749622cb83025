"""The k-means kernels: every twin equals the definition bit for bit, and the definition is what it says."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hpcjobs.clustering.exact import Grid, make_grid
from hpcjobs.kernels import kmeans as kernels

Floats = NDArray[np.float64]
Points = NDArray[Any]
NO_WEIGHTS = np.zeros(0)
DTYPES = ("float32", "float64", "uint8")


@dataclass(frozen=True)
class Assigned:
    """What `assign` leaves."""

    labels: NDArray[np.int32]
    sums: NDArray[np.int64]
    masses: NDArray[np.int64]
    unsure: int


def assign(
    run: Callable[..., int], points: Points, weights: Floats, centres: Floats, lanes: int | None = None
) -> tuple[Grid, Assigned]:
    """Run one implementation on the grid that the job would use."""
    wide = points.astype(np.float64)
    heaviest = float(weights.max()) if len(weights) else None
    grid = make_grid(wide.min(axis=0), wide.max(axis=0), len(points), heaviest, points.dtype.itemsize <= 4)
    lanes = lanes or grid.lanes
    labels = np.full(len(points), -7, dtype=np.int32)
    sums = np.zeros((lanes, *centres.shape), dtype=np.int64)
    masses = np.zeros((lanes, len(centres)), dtype=np.int64)
    with np.errstate(over="ignore", under="ignore"):
        unsure = run(
            points, weights, centres, grid.shift, grid.scale, grid.low_scale, grid.mass_scale,
            labels, sums, masses,
        )  # fmt: skip
    return grid, Assigned(labels, sums, masses, unsure)


def agree(points: Points, weights: Floats, centres: Floats, lanes: int | None = None) -> Assigned:
    """Assert that definition and twin leave the same; return it."""
    _, expected = assign(kernels.assign.reference, points, weights, centres, lanes)
    _, found = assign(kernels.assign.twin(points), points, weights, centres, lanes)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.sums, expected.sums)
    np.testing.assert_array_equal(found.masses, expected.masses)
    return found


def random_points(rng: np.random.Generator, rows: int, features: int, dtype: str) -> Points:
    if dtype == "uint8":
        return rng.integers(256, size=(rows, features), dtype=np.uint8)
    return rng.normal(size=(rows, features)).astype(dtype)


# The twin is the definition.


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("lanes", [1, 2])
def test_twin_of_assign_equals_definition_on_awkward_shapes(dtype: str, weighted: bool, lanes: int) -> None:
    rng = np.random.default_rng(1)
    for rows in (1, 2, 63, 511, 512, 513, 1025):
        for features, clusters in ((1, 1), (1, 5), (3, 2), (8, 16), (33, 17)):
            points = random_points(rng, rows, features, dtype)
            weights = rng.random(rows) if weighted else NO_WEIGHTS
            centres = rng.normal(size=(clusters, features)) * (100 if dtype == "uint8" else 1)
            agree(points, weights, centres, lanes)


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_rows_change_nothing(dtype: str) -> None:
    points = np.zeros((0, 3), dtype=dtype)
    sums, masses = np.full((1, 2, 3), 5, dtype=np.int64), np.full((1, 2), 6, dtype=np.int64)
    one, closest = np.ones(3), np.zeros(0)
    for implementation in (kernels.assign.reference, kernels.assign.twin(points)):
        labels = np.zeros(0, dtype=np.int32)
        assert implementation(points, NO_WEIGHTS, np.zeros((2, 3)), one, one, 1.0, 1.0, labels, sums, masses) == 0
    assert (sums == 5).all()
    assert (masses == 6).all()
    left = np.full(2, 7, dtype=np.int64)
    for kernel in (kernels.potentials.reference, kernels.potentials.twin(points)):
        kernel(points, NO_WEIGHTS, np.zeros((2, 3)), closest, 1.0, left)
    assert (left == 7).all()
    for narrow in (kernels.narrow.reference, kernels.narrow.twin(points)):
        narrow(points, one, closest)


@pytest.mark.parametrize("dtype", DTYPES)
def test_as_many_clusters_as_rows_give_every_row_its_own(dtype: str) -> None:
    rows = 200
    points = np.random.default_rng(2).permutation(256)[:rows, None].astype(dtype) * np.ones((1, 3), dtype=dtype)
    found = agree(points, NO_WEIGHTS, points.astype(np.float64))
    np.testing.assert_array_equal(found.labels, np.arange(rows))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [1, 63, 64, 65, 130])
@pytest.mark.parametrize("features", [1, 7, 8, 9, 33])
def test_twins_of_the_other_kernels_equal_their_definitions(dtype: str, rows: int, features: int) -> None:
    rng = np.random.default_rng(3)
    points = random_points(rng, rows, features, dtype)
    centres = rng.normal(size=(4, features))
    labels = rng.integers(4, size=rows).astype(np.int32)
    closest = rng.random(rows) * features
    closest[::3] = np.inf
    finite = np.minimum(closest, 1e3)
    shift, scale = rng.normal(size=features), np.full(features, 2.0**30)
    for weights in (NO_WEIGHTS, rng.random(rows)):
        compare(kernels.potentials, [points, weights, centres, finite, 2.0**20], np.zeros(4, dtype=np.int64))
    compare(kernels.narrow, [points, centres[0]], closest)
    compare(kernels.squared_distances, [points, centres, labels], np.empty(rows))
    sums = np.zeros((4, features), dtype=np.int64)
    compare(kernels.moments, [points, shift, scale, 2.0**-16, 2.0**31], sums)


def compare(kernel: Any, given: list[Any], out: NDArray[Any]) -> None:
    """Assert that definition and twin leave the same in the last argument."""
    expected, found = out.copy(), out.copy()
    kernel.reference(*given, expected)
    kernel.twin(given[0])(*given, found)
    assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extent_leaves_rows_that_are_not_finite_out_and_says_which(dtype: str) -> None:
    points = np.array(
        [[1, -5], [np.nan, 100], [3, 2], [np.inf, 0], [np.nan, -np.inf], [-0.0, 7], [-np.inf, np.nan]], dtype
    )
    for implementation in (kernels.extent.reference, kernels.extent.twin(points)):
        low, high, finite = np.full(2, np.inf), np.full(2, -np.inf), np.empty(7, dtype=np.uint8)
        implementation(points, low, high, finite)
        assert finite.tolist() == [1, 0, 1, 2, 2, 1, 2]
        assert low.tolist() == [0, -5]
        assert high.tolist() == [3, 7]


def test_reference_can_be_asked_for_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.zeros((1, 1))
    assert kernels.narrow.twin(points) is not kernels.narrow.reference
    monkeypatch.setenv("HPCJOBS_KERNELS", "reference")
    assert kernels.narrow.twin(points) is kernels.narrow.reference


def test_arrays_of_an_unknown_library_are_refused_by_name() -> None:
    with pytest.raises(TypeError, match="no kernels for arrays of fractions"):
        kernels.narrow.twin(Fraction(1))


# The definition is what it says: Python's own floats and integers as oracle.


def plain_squared(row: Any, centre: Any) -> float:
    total = 0.0
    for x, c in zip(row.tolist(), centre.tolist(), strict=True):
        total += (float(x) - c) * (float(x) - c)
    return total


@pytest.mark.parametrize("dtype", DTYPES)
def test_labels_are_the_argmin_of_plain_float_arithmetic(dtype: str) -> None:
    rng = np.random.default_rng(5)
    points = random_points(rng, 60, 5, dtype)
    centres = points[rng.choice(60, 9)].astype(np.float64)  # doubles among them, so that ties occur
    found = agree(points, NO_WEIGHTS, centres)
    for row, label in zip(points, found.labels, strict=True):
        squared = [plain_squared(row, centre) for centre in centres]
        assert label == squared.index(min(squared))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_and_masses_are_exact_integers(dtype: str, weighted: bool) -> None:
    rng = np.random.default_rng(6)
    points = random_points(rng, 700, 3, dtype)
    weights = rng.random(700) if weighted else NO_WEIGHTS
    centres = rng.normal(size=(4, 3)) * 10
    grid, found = assign(kernels.assign, points, weights, centres)
    sums = [[[0] * 3 for _ in range(4)] for _ in range(2)]
    masses = [[0] * 4 for _ in range(2)]
    for number, (row, label) in enumerate(zip(points.tolist(), found.labels.tolist(), strict=True)):
        weight = float(weights[number]) if weighted else 1.0
        for feature, x in enumerate(row):
            term = weight * (float(x) - float(grid.shift[feature])) * float(grid.scale[feature])
            sums[0][label][feature] += round(term)
            sums[1][label][feature] += round((term - round(term)) * grid.low_scale)
        mass = weight * grid.mass_scale
        masses[0][label] += round(mass)
        masses[1][label] += round((mass - round(mass)) * grid.low_scale)
    assert found.sums.tolist() == sums[: grid.lanes]
    assert found.masses.tolist() == masses[: grid.lanes]


@pytest.mark.parametrize(
    ("dtype", "offset"),
    [("uint8", 100.0), ("float32", 0.0), ("float32", 1e8), ("float64", 0.0), ("float64", 1e8)],
)
def test_sums_read_back_are_the_true_sums_to_the_last_bits(dtype: str, offset: float) -> None:
    rng = np.random.default_rng(7)
    points = (rng.random((1000, 2)) * 50 + offset).astype(dtype)
    grid, found = assign(kernels.assign, points, NO_WEIGHTS, points[:3].astype(np.float64))
    for cluster in range(3):
        for feature in range(2):
            own = points[found.labels == cluster, feature].tolist()
            shift = Fraction(float(grid.shift[feature]))
            true = sum((Fraction(x) - shift for x in own), Fraction(0))
            error = abs(Fraction(float(grid.read_back(found.sums)[cluster, feature])) - true)
            assert error <= Fraction(2) ** -48 * max(1, sum(abs(Fraction(x) - shift) for x in own))
        assert grid.masses(found.masses)[cluster] == (found.labels == cluster).sum()


def test_sums_of_most_rows_of_the_largest_value_do_not_overflow() -> None:
    points = np.full((4096, 1), 3.0e38, dtype=np.float32)
    points[0] = -3.0e38
    grid, found = assign(kernels.assign, points, NO_WEIGHTS, np.zeros((1, 1)))
    true = sum((Fraction(float(x)) - Fraction(float(grid.shift[0])) for x in points[:, 0]), Fraction(0))
    assert float(grid.read_back(found.sums)[0, 0]) == pytest.approx(float(true), rel=1e-12)


# The filter decides nothing that the definition would decide otherwise.


def mixed_scales(rng: np.random.Generator) -> tuple[Floats, Floats]:
    scales = 10.0 ** rng.uniform(-6, 6, size=12)
    return rng.normal(size=(600, 12)) * scales, rng.normal(size=(9, 12)) * scales


def far_from_zero(rng: np.random.Generator) -> tuple[Floats, Floats]:
    return rng.normal(size=(600, 6)) + 1e8, rng.normal(size=(9, 6)) + 1e8


def midpoints(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Rows a few units in the last place off the middle between two centres."""
    centres = rng.normal(size=(8, 5))
    pairs = rng.integers(8, size=(600, 2))
    middle = (centres[pairs[:, 0]] + centres[pairs[:, 1]]) / 2
    return middle * (1 + rng.integers(-4, 5, size=middle.shape) * 2.0**-52), centres


def midpoints_in_float32(rng: np.random.Generator) -> tuple[Floats, Floats]:
    points, centres = midpoints(rng)
    return points * (1 + rng.integers(-4, 5, size=points.shape) * 2.0**-24), centres


def close_centres(rng: np.random.Generator) -> tuple[Floats, Floats]:
    centre = rng.normal(size=7)
    return rng.normal(size=(600, 7)), centre * (1 + rng.normal(size=(9, 7)) * 1e-9)


def lattice(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Small integers: most rows have several centres at the same distance."""
    return rng.integers(-2, 3, size=(600, 3)).astype(float), rng.integers(-2, 3, size=(20, 3)).astype(float)


def doubled_centres(rng: np.random.Generator) -> tuple[Floats, Floats]:
    centres = rng.normal(size=(5, 4))
    return rng.normal(size=(600, 4)), np.concatenate([centres, centres[::-1], centres])


def far_centres(rng: np.random.Generator) -> tuple[Floats, Floats]:
    far = 10.0 ** rng.uniform(0, 30, size=(9, 1))
    return rng.normal(size=(600, 4)), rng.normal(size=(9, 4)) * far


def centres_whose_squares_overflow(rng: np.random.Generator) -> tuple[Floats, Floats]:
    far = 10.0 ** rng.uniform(150, 300, size=(9, 1))
    return rng.normal(size=(600, 4)), rng.normal(size=(9, 4)) * far


def no_centre_whose_squares_do_not_overflow(rng: np.random.Generator) -> tuple[Floats, Floats]:
    return rng.normal(size=(600, 4)), rng.normal(size=(9, 4)) * 10.0 ** rng.uniform(160, 300)


def centres_close_to_the_middle_of_the_range(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Scores so small that the rounding of the definition itself decides."""
    points = rng.normal(size=(300, 4))
    return np.concatenate([points, -points]), rng.normal(size=(9, 4)) * 1e-16


def zeros_between_centres(rng: np.random.Generator) -> tuple[Floats, Floats]:
    points = rng.normal(size=(600, 4))
    points[::2] = 0.0
    centres = rng.normal(size=(6, 4))
    return points, np.concatenate([-centres, centres])


def one_point(rng: np.random.Generator) -> tuple[Floats, Floats]:
    return np.full((600, 3), rng.normal()), rng.normal(size=(6, 3))


def rows_close_to_the_middle_of_the_range(rng: np.random.Generator) -> tuple[Floats, Floats]:
    points = rng.normal(size=(600, 3)) * 2.0 ** rng.integers(-90, 0, size=(600, 1))
    return points, rng.normal(size=(8, 3)) * 2.0 ** rng.integers(-90, 0, size=(8, 1))


def wide_rows(rng: np.random.Generator) -> tuple[Floats, Floats]:
    centre = rng.normal(size=2000)
    return rng.normal(size=(100, 2000)), centre + rng.normal(size=(12, 2000)) * 1e-5


GENERATORS = (
    mixed_scales, far_from_zero, midpoints, midpoints_in_float32, close_centres, lattice, doubled_centres,
    far_centres, centres_whose_squares_overflow, no_centre_whose_squares_do_not_overflow,
    centres_close_to_the_middle_of_the_range, zeros_between_centres, one_point,
    rows_close_to_the_middle_of_the_range, wide_rows,
)  # fmt: skip


@pytest.mark.parametrize("generate", GENERATORS, ids=lambda generate: str(generate.__name__))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_labels_are_certified_against_adversaries(generate: Callable[..., Any], dtype: str) -> None:
    for seed in range(4):
        points, centres = generate(np.random.default_rng(seed))
        agree(points.astype(dtype), NO_WEIGHTS, centres)


@pytest.mark.parametrize("exponent", [-1070, -1040, -600, -540, -500, -480, -400, -140, -120, -60, 60, 120, 400, 470])
def test_labels_are_certified_at_every_magnitude(exponent: int) -> None:
    for generate in (
        midpoints,
        midpoints_in_float32,
        lattice,
        mixed_scales,
        rows_close_to_the_middle_of_the_range,
    ):
        points, centres = generate(np.random.default_rng(8))
        down = 24 if generate is mixed_scales else 4
        factor = 2.0 ** min(exponent, 475 - down)
        for dtype in ("float32", "float64") if -140 <= exponent <= 100 else ("float64",):
            agree((points * factor).astype(dtype), NO_WEIGHTS, centres * factor)


@pytest.mark.parametrize("heaviest", [1e-200, 1e-30, 1e-6, 1e6, 1e30])
def test_labels_do_not_depend_on_the_magnitude_of_the_weights(heaviest: float) -> None:
    rng = np.random.default_rng(9)
    points, centres = rng.normal(size=(600, 4)), rng.normal(size=(7, 4))
    weights = rng.random(600) * heaviest
    weights[::5] = 0.0
    found = agree(points, weights, centres)
    np.testing.assert_array_equal(found.labels, agree(points, NO_WEIGHTS, centres).labels)
    assert found.unsure < 60


def test_the_filter_decides_nearly_all_ordinary_rows() -> None:
    rng = np.random.default_rng(10)
    points, centres = rng.normal(size=(20_000, 16)).astype(np.float32), rng.normal(size=(32, 16))
    assert assign(kernels.assign, points, NO_WEIGHTS, centres)[1].unsure < 200


def test_a_far_offset_does_not_wear_the_filter_out() -> None:
    rng = np.random.default_rng(11)
    points, centres = rng.normal(size=(20_000, 16)), rng.normal(size=(32, 16))
    assert assign(kernels.assign, points + 1e8, NO_WEIGHTS, centres + 1e8)[1].unsure < 200


@pytest.mark.parametrize("dtype", DTYPES)
def test_exact_ties_go_to_the_lowest_label(dtype: str) -> None:
    points = np.full((600, 3), 5, dtype=dtype)
    centres = np.array([[9, 5, 5], [5, 4, 5], [5, 5, 6], [6, 5, 5], [5, 5, 4]], dtype=float)
    assert (agree(points, NO_WEIGHTS, centres).labels == 1).all()


def test_near_ties_inside_the_bound_are_settled_by_the_definition() -> None:
    points = np.ones((600, 4), dtype=np.float32)
    centres = np.zeros((3, 4))
    centres[:, 0] = [1e-12, 2e-12, 1.5e-12]  # the second is nearest to 1, beyond any float32 score
    found = agree(points, NO_WEIGHTS, centres)
    assert (found.labels == 1).all()
    assert found.unsure == 600
