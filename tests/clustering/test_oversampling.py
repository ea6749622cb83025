"""k-means||: the same rows on any number of ranks, as good a start as k-means++, whatever the data."""

import numpy as np
import pytest
from clustering.tables import NO_WEIGHTS, blobs, deal, lloyd, survey_of
from clustering.threads_comm import on_ranks
from numpy.typing import NDArray

from hpcjobs.clustering.oversampling import kmeans_parallel
from hpcjobs.clustering.start import kmeans_plus_plus
from hpcjobs.parallel.communicator import Communicator, SerialCommunicator
from hpcjobs.parallel.randomness import Stream

Floats = NDArray[np.float64]


def start(
    points: Floats,
    clusters: int,
    seed: int = 0,
    weights: Floats = NO_WEIGHTS,
    communicator: Communicator | None = None,
) -> Floats:
    table = deal(points, weights, communicator or SerialCommunicator())
    return kmeans_parallel(table, survey_of(points, weights, table).grid, clusters, seed, 0)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_start_has_the_same_bits_on_any_number_of_ranks(weighted: bool) -> None:
    points = blobs(300, 3, 6, seed=2)
    weights = np.random.default_rng(3).integers(0, 3, size=300) / 2 if weighted else NO_WEIGHTS
    seen = {
        found.tobytes()
        for ranks in (1, 2, 3, 4, 7)
        for found in on_ranks(ranks, lambda comm: start(points, 9, 4, weights, comm))
    }
    assert len(seen) == 1


def test_after_lloyd_it_is_as_good_as_kmeans_plus_plus() -> None:
    points = blobs(1500, 4, 12, seed=9)
    ours = [lloyd(points, start(points, 12, seed), 15).inertia for seed in range(12)]
    theirs = [lloyd(points, kmeans_plus_plus(deal(points), 12, Stream(seed, "test")), 15).inertia for seed in range(12)]
    assert np.mean(ours) <= 1.1 * np.mean(theirs)
    assert min(ours) <= 1.001 * min(theirs)


@pytest.mark.parametrize("clusters", [1, 2, 3, 4, 7])
def test_duplicates_of_few_rows_are_all_found(clusters: int) -> None:
    points = np.repeat([[0.0, 1.0], [5.0, 5.0], [9.0, 1.0]], 20, axis=0)
    found = start(points, clusters)
    assert found.shape == (clusters, 2)
    assert len(np.unique(found, axis=0)) == min(3, clusters)
    assert {tuple(row) for row in found} <= {tuple(row) for row in points}


def test_as_many_clusters_as_rows_take_every_row() -> None:
    points = blobs(30, 2, 5, seed=1)
    assert len(np.unique(start(points, 30), axis=0)) == 30


def test_rows_without_weight_are_never_taken() -> None:
    points = blobs(200, 2, 5, seed=7)
    weights = np.ones(200)
    weights[::2] = 0.0
    allowed = {tuple(row) for row in points[1::2]}
    for seed in range(5):
        assert {tuple(row) for row in start(points, 8, seed, weights)} <= allowed


@pytest.mark.parametrize("scale", [1e-150, 1e30, 1e130])
def test_it_works_at_every_magnitude(scale: float) -> None:
    points = blobs(200, 2, 5, seed=8) * scale
    assert len(np.unique(start(points, 5), axis=0)) == 5
