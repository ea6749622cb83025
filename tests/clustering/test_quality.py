"""Measures of quality: those of scikit-learn, the same bits on any number of ranks."""

from dataclasses import astuple

import numpy as np
import pytest
from clustering.tables import NO_WEIGHTS, blobs, deal, survey_of
from clustering.threads_comm import on_ranks
from numpy.typing import NDArray
from sklearn import metrics

from hpcjobs.clustering import kmeans, quality
from hpcjobs.clustering.quality import Quality
from hpcjobs.parallel.communicator import Communicator, SerialCommunicator

Floats = NDArray[np.float64]


def measured(
    points: Floats, centres: Floats, weights: Floats = NO_WEIGHTS, communicator: Communicator | None = None
) -> Quality:
    table = deal(points, weights, communicator or SerialCommunicator())
    grid = survey_of(points, weights, table).grid
    labels = np.empty(len(table.points), dtype=np.int32)
    totals = kmeans.assign(table, grid, centres, labels)
    return quality.measure(table, grid, centres, labels, totals)


def nearest(points: Floats, centres: Floats) -> NDArray[np.int64]:
    return ((points[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)


def simplified(points: Floats, centres: Floats) -> float:
    """By the book: (b - a) / max(a, b) with distances to centres, 0 for a row alone."""
    labels = nearest(points, centres)
    distances = np.sqrt(((points[:, None] - centres) ** 2).sum(axis=2))
    used = np.bincount(labels, minlength=len(centres)) > 0
    scores = []
    for row, label in enumerate(labels):
        others = [distances[row, number] for number in range(len(centres)) if number != label and used[number]]
        a, b = distances[row, label], min(others)
        scores.append(0.0 if (labels == label).sum() == 1 or b == 0 else (b - a) / max(a, b))
    return float(np.mean(scores))


CENTRES = {
    "ordinary": lambda points: points[:5] + 0.1,
    "a row alone": lambda points: np.concatenate([points[:3], points[7:8] + 100.0]),
    "an empty cluster": lambda points: np.concatenate([points[:3], [[1e4] * 3]]),
    "many": lambda points: points[:40],
}


@pytest.mark.parametrize("name", CENTRES)
def test_measures_are_those_of_scikit_learn(name: str) -> None:
    points = blobs(150, 3, 5, seed=1)
    points[7] += 100.0
    centres = CENTRES[name](points)
    labels = nearest(points, centres)
    found = measured(points, centres)
    assert found.silhouette == pytest.approx(metrics.silhouette_score(points, labels), rel=1e-12)
    assert found.davies_bouldin == pytest.approx(metrics.davies_bouldin_score(points, labels), rel=1e-12)
    assert found.calinski_harabasz == pytest.approx(metrics.calinski_harabasz_score(points, labels), rel=1e-10)
    assert found.simplified_silhouette == pytest.approx(simplified(points, centres), rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rows", [5, 300])
def test_measures_have_the_same_bits_on_any_number_of_ranks(rows: int, weighted: bool) -> None:
    points = blobs(rows, 3, 5, seed=2)
    weights = np.random.default_rng(3).random(rows) if weighted else NO_WEIGHTS
    seen = {
        np.array(astuple(found)).tobytes()
        for ranks in (1, 2, 3, 4, 9)
        for found in on_ranks(ranks, lambda comm: measured(points, points[:4], weights, comm))
    }
    assert len(seen) == 1


def test_a_weight_of_two_counts_like_the_row_twice() -> None:
    points = blobs(60, 3, 4, seed=4)
    weights = np.random.default_rng(5).integers(1, 4, size=60).astype(np.float64)
    once, often = measured(points, points[:4], weights), measured(np.repeat(points, weights.astype(int), 0), points[:4])
    for name in ("simplified_silhouette", "davies_bouldin", "calinski_harabasz"):
        assert getattr(once, name) == pytest.approx(getattr(often, name), rel=1e-10), name


def test_one_cluster_has_no_measure() -> None:
    points = blobs(30, 2, 2, seed=6)
    assert np.isnan(astuple(measured(points, points[:1]))).all()
    assert np.isnan(astuple(measured(points, np.concatenate([points[:1], [[1e4, 1e4]]])))).all()


def test_clusters_without_width_are_told_apart_without_bound() -> None:
    points = np.repeat([[0.0, 0.0], [3.0, 4.0]], 5, axis=0)
    found = measured(points, points[[0, 5]])
    assert astuple(found) == (1.0, 1.0, 0.0, np.inf)


def test_rows_that_are_all_centres_score_nothing() -> None:
    points = blobs(12, 2, 3, seed=7)
    found = measured(points, points)
    assert found.simplified_silhouette == 0.0
    assert found.silhouette == 0.0
    assert np.isnan(found.calinski_harabasz)


@pytest.mark.parametrize(("rows", "values", "told"), [(30, 10**6, True), (29, 10**6, False), (30, 89, False)])
def test_the_silhouette_of_too_many_rows_is_left_out(
    monkeypatch: pytest.MonkeyPatch, rows: int, values: int, told: bool
) -> None:
    monkeypatch.setattr(quality, "MOST_PAIRED_ROWS", rows)
    monkeypatch.setattr(quality, "MOST_PAIRED_VALUES", values)
    points = blobs(30, 3, 3, seed=8)
    found = measured(points, points[:3])
    assert np.isnan(found.silhouette) == (not told)
    assert np.isfinite(found.simplified_silhouette)
