"""The kernels of quality: every twin equals the definition bit for bit, and the definition is what it says."""

import math

import numpy as np
import pytest
from kernels.test_kmeans_kernels import DTYPES, compare, plain_squared, random_points

from hpcjobs.kernels import quality as kernels


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [0, 1, 63, 64, 65, 200])
@pytest.mark.parametrize("features", [1, 7, 8, 33])
def test_twin_of_second_nearest_equals_definition(dtype: str, rows: int, features: int) -> None:
    rng = np.random.default_rng(1)
    points = random_points(rng, rows, features, dtype)
    for clusters in (1, 2, 9):
        centres = rng.normal(size=(clusters, features)) * (100 if dtype == "uint8" else 1)
        labels = rng.integers(clusters, size=rows).astype(np.int32)
        for occupied in (np.ones(clusters, dtype=np.uint8), (np.arange(clusters) % 2).astype(np.uint8)):
            compare(kernels.second_nearest, [points, centres, occupied, labels], np.full(rows, 7.0))


@pytest.mark.parametrize(("some", "rows"), [(0, 5), (1, 1), (63, 64), (65, 130), (130, 3)])
@pytest.mark.parametrize("features", [1, 8, 33])
def test_twin_of_distance_sums_equals_definition(some: int, rows: int, features: int) -> None:
    rng = np.random.default_rng(2)
    points, every = rng.normal(size=(some, features)), rng.normal(size=(rows, features))
    labels = rng.integers(-1, 4, size=rows).astype(np.int32)
    compare(kernels.distance_sums, [points, every, labels], np.full((some, 4), 7.0))


def test_both_are_what_they_say() -> None:
    rng = np.random.default_rng(3)
    points, centres = rng.normal(size=(40, 5)), rng.normal(size=(6, 5))
    labels = rng.integers(6, size=40).astype(np.int32)
    occupied = np.array([1, 1, 0, 1, 1, 1], dtype=np.uint8)
    other = np.empty(40)
    kernels.second_nearest(points, centres, occupied, labels, other)
    sums = np.empty((40, 6))
    kernels.distance_sums(points, points, labels, sums)
    for row, label in enumerate(labels):
        allowed = [number for number in range(6) if number != label and occupied[number]]
        assert other[row] == min(plain_squared(points[row], centres[number]) for number in allowed)
        totals = [0.0] * 6
        for number, cluster in enumerate(labels):
            totals[cluster] += math.sqrt(plain_squared(points[row], points[number]))
        assert sums[row].tolist() == totals
