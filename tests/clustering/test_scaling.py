"""Scaled rows are those of scikit-learn, learnt over any number of ranks, and centres go back to the data's units."""

from typing import Any

import numpy as np
import pytest
from clustering.tables import deal
from clustering.threads_comm import on_ranks
from numpy.typing import NDArray
from sklearn.preprocessing import Normalizer, RobustScaler, StandardScaler

from hpcjobs.clustering import scaling
from hpcjobs.clustering.scaling import Scaling
from hpcjobs.clustering.table import spread
from hpcjobs.parallel.communicator import Communicator, SerialCommunicator

Points = NDArray[Any]
THEIRS = {"standard": StandardScaler, "robust": RobustScaler, "unit": Normalizer}


def learn(kind: str, points: Points, unit: bool = False, communicator: Communicator | None = None) -> Scaling:
    table = deal(points, communicator=communicator or SerialCommunicator())
    wide = points.astype(np.float64)
    found = spread(table, wide.min(axis=0), wide.max(axis=0), len(points))
    return scaling.fit(kind, unit, table, found, len(points))


def measured(dtype: str, rows: int = 301) -> Points:
    """Features of different units, one constant."""
    made = np.random.default_rng(1).gamma(2.0, size=(rows, 4)) * [1, 20, 5, 3] + [0, 9, 50, 1]
    made[:, 3] = 4.0
    return made.astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize("kind", THEIRS)
def test_scaled_rows_are_those_of_scikit_learn(kind: str, dtype: str) -> None:
    points = measured(dtype)
    found = learn(kind, points)
    expected = THEIRS[kind]().fit_transform(points.astype(np.float64))
    scaled = found(points.copy())
    assert scaled.dtype == found.dtype(points.dtype) == ("float64" if dtype == "float64" else "float32")
    tolerance = 1e-12 if dtype == "float64" else 1e-6
    np.testing.assert_allclose(scaled, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("kind", ["standard", "robust"])
@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_what_is_learnt_is_exact(kind: str, offset: float) -> None:
    points = measured("float64") + offset
    found, theirs = learn(kind, points), THEIRS[kind]().fit(points)
    if kind == "robust":
        np.testing.assert_array_equal(found.offset, theirs.center_)
        np.testing.assert_array_equal(found.factor, theirs.scale_)
    else:
        exact = points.astype(np.longdouble)
        np.testing.assert_allclose(found.offset, exact.mean(axis=0).astype(np.float64), rtol=1e-15)
        np.testing.assert_allclose(found.factor[:3], exact.std(axis=0).astype(np.float64)[:3], rtol=1e-12)
    assert found.factor[3] == 1.0  # a constant feature


@pytest.mark.parametrize("kind", ["standard", "robust", "unit"])
def test_the_same_is_learnt_on_any_number_of_ranks(kind: str) -> None:
    points = measured("float32", 40)
    seen = {
        (found.offset.tobytes(), found.factor.tobytes(), found.unit)
        for ranks in (1, 2, 3, 4, 50)
        for found in on_ranks(ranks, lambda comm: learn(kind, points, communicator=comm))
    }
    assert len(seen) == 1


@pytest.mark.parametrize("kind", ["standard", "robust"])
def test_centres_come_back_in_units_of_the_data(kind: str) -> None:
    points = measured("float64")
    found = learn(kind, points)
    np.testing.assert_allclose(found.undo(found(points.copy())), points, rtol=1e-12)
    directions = learn(kind, points, unit=True)
    assert (directions.undo(points) == points).all()  # of rows of length 1 the length is gone


@pytest.mark.parametrize("factor", [1e-300, 1e-165, 1e-30, 1.0, 1e140, 1e300])
def test_rows_of_any_magnitude_come_to_length_1(factor: float) -> None:
    points = np.random.default_rng(2).normal(size=(50, 5)) * factor
    points[3] = 0.0
    found = Scaling.none(5, unit=True)(points)
    lengths = np.linalg.norm(found, axis=1)
    assert lengths[3] == 0.0
    np.testing.assert_allclose(np.delete(lengths, 3), 1.0, rtol=1e-15)


def test_one_row_and_all_equal_rows_stay_finite() -> None:
    for points in (np.array([[3.0, -1.0]]), np.full((9, 2), 1e9)):
        for kind in ("standard", "robust", "unit"):
            assert np.isfinite(learn(kind, points)(points.copy())).all()


def test_no_scaling_leaves_rows_and_type_as_they_are() -> None:
    points = measured("uint8")
    found = learn("none", points)
    assert not found.changes
    assert found(points) is points
    assert found.dtype(points.dtype) == np.uint8
