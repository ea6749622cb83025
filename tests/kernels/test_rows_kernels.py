"""The kernels on rows: every twin equals the definition bit for bit, and the definition is what it says."""

import struct

import numpy as np
import pytest
from kernels.test_kmeans_kernels import DTYPES, compare, random_points
from numpy.typing import NDArray

from hpcjobs.kernels import rows as kernels

Floats = NDArray[np.float64]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("rows", [0, 1, 2, 63, 513])
def test_twin_of_rescale_equals_definition(dtype: str, unit: bool, rows: int) -> None:
    rng = np.random.default_rng(1)
    for features in (1, 3, 8, 33):
        points = random_points(rng, rows, features, dtype)
        points[::5] = 0
        offset, factor = rng.normal(size=features), rng.gamma(2.0, size=features)
        offset[0], factor[0] = 0.0, 1.0
        for kind in ("float32", "float64"):
            with np.errstate(under="ignore"):
                compare(kernels.rescale, [points, offset, factor, unit], np.full(points.shape, 7, dtype=kind))
                compare(
                    kernels.rescale, [points, offset * 0, factor * 0 + 1, unit], np.full(points.shape, 7, dtype=kind)
                )


def test_twin_of_rescale_equals_definition_at_every_magnitude() -> None:
    rng = np.random.default_rng(2)
    zeros, ones = np.zeros(4), np.ones(4)
    for exponent in (-1074, -1060, -600, -540, -100, 0, 100, 500, 1000):
        points = np.ldexp(rng.normal(size=(40, 4)), exponent)
        points[3] = -0.0
        compare(kernels.rescale, [points, zeros, ones, True], np.empty(points.shape))


def test_rescale_may_write_where_it_reads() -> None:
    points = np.random.default_rng(3).normal(size=(70, 5))
    expected = np.empty(points.shape)
    kernels.rescale.reference(points, np.ones(5), np.full(5, 3.0), True, expected)
    for implementation in (kernels.rescale.reference, kernels.rescale.twin(points)):
        found = points.copy()
        implementation(found, np.ones(5), np.full(5, 3.0), True, found)
        assert found.tobytes() == expected.tobytes()


def keys(values: Floats) -> list[int]:
    """The order of float64 values as integers, by Python's own means."""
    found = []
    for value in values.tolist():
        (bits,) = struct.unpack("<Q", struct.pack("<d", value))
        found.append(bits ^ (2**64 - 1) if bits >> 63 else bits | 2**63)
    return found


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shift", [0, 8, 48, 56])
@pytest.mark.parametrize("rows", [0, 1, 257])
def test_digits_are_counted_as_defined(dtype: str, shift: int, rows: int) -> None:
    rng = np.random.default_rng(4)
    points = random_points(rng, rows, 3, dtype)
    points[::7] = 0
    prefixes = np.zeros((2, 3), dtype=np.uint64)
    wide = points.astype(np.float64)
    for selection in range(2):
        for feature in range(3):
            if rows:
                prefixes[selection, feature] = keys(wide[[selection % rows], feature])[0] >> shift >> 8
    compare(kernels.digit_counts, [points, prefixes, shift], np.full((2, 3, 256), 5, dtype=np.int64))
    counts = np.zeros((2, 3, 256), dtype=np.int64)
    kernels.digit_counts(points, prefixes, shift, counts)
    for feature in range(3):
        every = keys(wide[:, feature])
        for selection in range(2):
            fitting = [key for key in every if key >> shift >> 8 == int(prefixes[selection, feature])]
            expected = [0] * 256
            for key in fitting:
                expected[key >> shift & 255] += 1
            assert counts[selection, feature].tolist() == expected


def test_keys_are_in_the_order_of_the_values() -> None:
    values = np.array([-np.inf, -1e300, -1.0, -5e-324, -0.0, 0.0, 5e-324, 1.0, 1e300, np.inf])
    assert keys(values) == sorted(keys(values))
