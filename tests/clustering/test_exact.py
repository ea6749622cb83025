"""Sums over rows: exact, and the same bits however the rows are dealt to ranks."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from clustering.tables import NO_WEIGHTS, blobs, deal, survey_of
from clustering.threads_comm import on_ranks
from numpy.typing import NDArray

from hpcjobs.clustering.exact import BLOCK, Column, exact_sum, make_grid, power_below, runs, spare_bits
from hpcjobs.clustering.table import Table, survey
from hpcjobs.errors import DataError
from hpcjobs.parallel.communicator import Communicator, SerialCommunicator
from hpcjobs.parallel.shards import piece

Floats = NDArray[np.float64]
RANKS = (1, 2, 3, 4, 7)


def sum_on_ranks(values: Floats, size: int) -> float:
    """The exact sum of values dealt to `size` ranks, which all must agree."""

    def one(communicator: Communicator) -> float:
        span = piece(len(values), size, communicator.rank)
        own = values[span.start : span.stop]
        return exact_sum(Column(len(own), lambda run: own[run]), len(values), communicator)

    found = on_ranks(size, one)
    assert len(set(found)) == 1
    return found[0]


def columns() -> dict[str, Floats]:
    rng = np.random.default_rng(0)
    return {
        "one row": np.array([0.1]),
        "three rows": np.array([1e-3, 0.7, 1e3]),
        "uniform, several blocks": rng.random(2 * BLOCK + 1),
        "forty decades": 10.0 ** rng.uniform(-20, 20, size=1000),
        "tiny": rng.random(1000) * 1e-290,
        "huge": rng.random(1000) * 1e290,
        "all alike": np.full(1000, 0.1),
    }


@pytest.mark.parametrize("name", columns())
def test_exact_sum_is_the_true_sum_to_the_last_bits(name: str) -> None:
    values = columns()[name]
    found = sum_on_ranks(values, 1)
    assert found == pytest.approx(math.fsum(values), rel=4e-16)
    true = sum((Fraction(value) for value in values.tolist()), Fraction(0))
    assert abs(Fraction(found) - true) <= true * Fraction(2) ** -51


@pytest.mark.parametrize("name", columns())
def test_exact_sum_is_the_same_on_any_number_of_ranks(name: str) -> None:
    values = columns()[name]
    assert len({sum_on_ranks(values, size) for size in RANKS}) == 1


def test_exact_sum_does_not_depend_on_the_order_of_the_rows() -> None:
    values = columns()["forty decades"]
    assert sum_on_ranks(values, 2) == sum_on_ranks(values[::-1].copy(), 3)


def test_exact_sum_of_nothing_or_of_zeros_is_zero() -> None:
    assert sum_on_ranks(np.zeros(0), 2) == 0.0
    assert sum_on_ranks(np.zeros(5), 2) == 0.0


def test_runs_cover_every_row_once() -> None:
    for rows in (0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5):
        covered = [row for run in runs(rows) for row in range(run.start, run.stop)]
        assert covered == list(range(rows))


@pytest.mark.parametrize("rows", [1, 2, 3, 1000, 2**20, 2**20 + 1, 2**40])
@pytest.mark.parametrize("bound", [5e-324, 1e-300, 0.1, 1.0, 3.0, 2.0**475])
def test_no_sum_on_the_grid_can_overflow(rows: int, bound: float) -> None:
    largest_term = Fraction(bound) * Fraction(power_below(bound, spare_bits(rows)))
    assert (largest_term + 1) * rows <= 2**62 + rows


def test_grid_is_refused_for_values_whose_squares_overflow() -> None:
    low, high = np.zeros(1), np.array([1e150])
    with pytest.raises(DataError, match="scale them down"):
        make_grid(low, high, 10, None, False)
    with pytest.raises(DataError, match="scale them down"):
        make_grid(low, high * 1e-50, 10, 1e100, False)


def test_a_constant_feature_does_not_narrow_the_grid_of_the_others() -> None:
    low, high = np.array([0.0, 7.0, -1e-3]), np.array([1.0, 7.0, 1e-3])
    with_constant = make_grid(low, high, 1000, None, True)
    without = make_grid(low[[0, 2]], high[[0, 2]], 1000, None, True)
    assert with_constant.scale[[0, 2]].tolist() == without.scale.tolist()
    assert np.isfinite(make_grid(low[[1]], high[[1]], 1000, None, True).scale).all()


# The survey.


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e8])
@pytest.mark.parametrize("scale", [1e-100, 1.0, 1e100])
def test_mean_variance_is_that_of_numpy(offset: float, scale: float) -> None:
    points = (blobs(5000, 4, 3, seed=0) + offset) * scale
    found = survey_of(points, NO_WEIGHTS, deal(points)).mean_variance
    wide = points.astype(np.longdouble)
    assert found == pytest.approx(float(np.var(wide, axis=0).mean()), rel=1e-12)


def test_mean_variance_holds_for_a_few_far_outliers() -> None:
    points = np.random.default_rng(1).normal(size=(4000, 2))
    points[0], points[1] = 1e6, -1e6
    found = survey_of(points, NO_WEIGHTS, deal(points)).mean_variance
    assert found == pytest.approx(np.var(points, axis=0).mean(), rel=1e-12)


def test_mean_variance_of_constant_features_is_zero() -> None:
    points = np.full((100, 3), 0.1)
    assert survey_of(points, NO_WEIGHTS, deal(points)).mean_variance == 0.0


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize("weighted", [False, True])
def test_survey_is_the_same_on_any_number_of_ranks(dtype: str, weighted: bool) -> None:
    points: NDArray[Any] = (blobs(300, 3, 4, seed=2) * 10 + 100).clip(0, 255).astype(dtype)
    weights = np.random.default_rng(3).random(300) if weighted else NO_WEIGHTS

    def one(communicator: Communicator) -> tuple[bytes, bytes, float, float]:
        ground = survey_of(points, weights, deal(points, weights, communicator))
        grid = ground.grid
        return grid.shift.tobytes(), grid.scale.tobytes(), ground.mean_variance, ground.squares

    assert len({found for size in (*RANKS, 13) for found in on_ranks(size, one)}) == 1


def test_a_table_without_rows_is_refused() -> None:
    table = Table(np.zeros((0, 2)), NO_WEIGHTS, 0, 5, SerialCommunicator(), 5, np.zeros(0, dtype=np.int64))
    with pytest.raises(DataError, match="no row is left"):
        survey(table, np.full(2, np.inf), np.full(2, -np.inf), None)
