"""Lloyd's loop: the same bits on any number of ranks, and the clustering that others find."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from clustering.tables import NO_WEIGHTS, Fit, blobs, deal, lloyd, survey_of
from clustering.threads_comm import on_ranks
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from hpcjobs.clustering import kmeans
from hpcjobs.parallel.communicator import Communicator

Floats = NDArray[np.float64]
Points = NDArray[Any]
RANKS = (2, 3, 4, 7)


def same_fit(points: Points, start: Floats, iterations: int, weights: Floats, sizes: tuple[int, ...]) -> Fit:
    """Assert that every number of ranks gives the bits of one rank; return the fit of one rank."""
    expected = lloyd(points, start, iterations, weights)
    for size in sizes:
        fits = on_ranks(size, lambda comm: lloyd(points, start, iterations, weights, comm))
        joined = np.concatenate([fit.labels for fit in fits])
        assert joined.tobytes() == expected.labels.tobytes()
        for fit in fits:
            assert fit.centres.tobytes() == expected.centres.tobytes()
            assert fit.inertia == expected.inertia
            assert fit.estimates == expected.estimates
            assert fit.empty == expected.empty
    return expected


def first_rows(points: Points, clusters: int) -> Floats:
    return points[:clusters].astype(np.float64)


# Same bits on any number of ranks.


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_whole_loop_has_the_same_bits_on_any_number_of_ranks(dtype: str, weighted: bool) -> None:
    points = (blobs(1500, 5, 6, seed=0) * 8 + 100).clip(0, 255).astype(dtype)
    weights = np.random.default_rng(1).random(1500) if weighted else NO_WEIGHTS
    same_fit(points, first_rows(points, 6), 8, weights, RANKS)


def test_more_ranks_than_rows_have_the_same_bits() -> None:
    points = blobs(9, 2, 3, seed=2)
    same_fit(points, first_rows(points, 3), 5, NO_WEIGHTS, (8, 9, 10, 17))


@pytest.mark.parametrize("weighted", [False, True])
def test_refilled_clusters_have_the_same_bits_on_any_number_of_ranks(weighted: bool) -> None:
    points = np.round(blobs(400, 2, 5, seed=3), 1)  # rounded, so that rows tie as the farthest
    weights = np.random.default_rng(4).integers(0, 3, size=400).astype(float) if weighted else NO_WEIGHTS
    start = np.concatenate([first_rows(points, 2), first_rows(points, 2), np.full((3, 2), 1e6)])
    same_fit(points, start, 1, weights, RANKS)
    same_fit(points, start, 6, weights, RANKS)


def test_more_clusters_than_distinct_rows_have_the_same_bits_and_leave_clusters_empty() -> None:
    points = np.repeat(np.arange(3.0), 20)[:, None]
    fit = same_fit(points, np.zeros((7, 1)), 4, NO_WEIGHTS, RANKS)
    assert fit.empty == 4
    assert fit.inertia == 0.0
    assert len(np.unique(fit.labels)) == 3
    assert np.isfinite(fit.centres).all()


# The clustering that scikit-learn finds.


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("rows", "features", "clusters"), [(3000, 2, 5), (2000, 16, 8), (1000, 40, 3)])
def test_the_clustering_is_that_of_scikit_learn_from_the_same_start(
    dtype: str, rows: int, features: int, clusters: int
) -> None:
    points = blobs(rows, features, clusters, seed=5).astype(dtype)
    start = first_rows(points, clusters)
    model = KMeans(clusters, init=start.astype(dtype), n_init=1, max_iter=100, tol=0, algorithm="lloyd").fit(points)
    fit = lloyd(points, start, int(model.n_iter_))
    np.testing.assert_array_equal(fit.labels, model.labels_)
    np.testing.assert_allclose(fit.centres, model.cluster_centers_, rtol=1e-6, atol=1e-6 if dtype == "float32" else 0)
    assert fit.inertia == pytest.approx(model.inertia_, rel=1e-6)
    scale = np.var(points.astype(np.float64), axis=0).mean()
    assert fit.mean_variance == pytest.approx(scale, rel=1e-9)


def test_weighted_clustering_is_that_of_scikit_learn() -> None:
    points = blobs(2000, 3, 4, seed=6)
    weights = np.random.default_rng(7).random(2000) * 5
    start = first_rows(points, 4)
    model = KMeans(4, init=start, n_init=1, max_iter=100, tol=0, algorithm="lloyd")
    model.fit(points, sample_weight=weights)
    fit = lloyd(points, start, int(model.n_iter_), weights)
    np.testing.assert_array_equal(fit.labels, model.labels_)
    np.testing.assert_allclose(fit.centres, model.cluster_centers_, rtol=1e-10)
    assert fit.inertia == pytest.approx(model.inertia_, rel=1e-10)


def test_whole_weights_are_repeated_rows() -> None:
    points = blobs(500, 3, 4, seed=8)
    weights = np.random.default_rng(9).integers(0, 4, size=500)
    weighted = lloyd(points, first_rows(points, 4), 6, weights.astype(float))
    repeated = lloyd(np.repeat(points, weights, axis=0), first_rows(points, 4), 6)
    np.testing.assert_array_equal(np.repeat(weighted.labels, weights), repeated.labels)
    np.testing.assert_allclose(weighted.centres, repeated.centres, rtol=1e-13)
    assert weighted.inertia == pytest.approx(repeated.inertia, rel=1e-13)


def test_rows_without_weight_are_labelled_but_move_nothing() -> None:
    points = blobs(600, 2, 3, seed=10)
    weights = np.ones(600)
    weights[::3] = 0.0
    fit = lloyd(points, first_rows(points, 3), 6, weights)
    kept = lloyd(points[weights > 0], first_rows(points, 3), 6, weights[weights > 0])
    np.testing.assert_allclose(fit.centres, kept.centres, rtol=1e-14)
    np.testing.assert_array_equal(fit.labels[weights > 0], kept.labels)
    distances = ((points[:, None] - fit.centres) ** 2).sum(axis=2)
    np.testing.assert_array_equal(fit.labels, distances.argmin(axis=1))


@pytest.mark.parametrize("exponent", [-300, -20, 30, 400])
def test_scaling_by_a_power_of_two_scales_the_centres_and_nothing_else(exponent: int) -> None:
    points = blobs(700, 3, 5, seed=11)
    factor = 2.0**exponent
    fit = lloyd(points, first_rows(points, 5), 6)
    scaled = lloyd(points * factor, first_rows(points, 5) * factor, 6)
    assert scaled.centres.tobytes() == (fit.centres * factor).tobytes()
    assert scaled.labels.tobytes() == fit.labels.tobytes()
    assert scaled.inertia == fit.inertia * factor * factor


def test_the_order_of_the_rows_does_not_matter() -> None:
    points = blobs(700, 3, 5, seed=12)
    order = np.random.default_rng(13).permutation(700)
    fit, permuted = lloyd(points, points[:5], 6), lloyd(points[order], points[:5], 6)
    assert permuted.centres.tobytes() == fit.centres.tobytes()
    assert permuted.inertia == fit.inertia
    np.testing.assert_array_equal(permuted.labels, fit.labels[order])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_far_offset_costs_no_accuracy(dtype: str) -> None:
    """float32 cannot hold the rows plus 1e8 themselves: the oracle sees the rounded rows, like we do."""
    points = (blobs(2000, 4, 5, seed=14, spread=3.0) * 20 + 1e8).astype(dtype)
    fit = lloyd(points, first_rows(points, 5), 10)
    wide = points.astype(np.longdouble)
    centres = first_rows(points, 5).astype(np.longdouble)
    for _ in range(10):
        labels = ((wide[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
        centres = np.stack([wide[labels == cluster].mean(axis=0) for cluster in range(5)])
    distances = ((wide[:, None] - centres) ** 2).sum(axis=2)
    np.testing.assert_array_equal(fit.labels, distances.argmin(axis=1))
    np.testing.assert_allclose(fit.centres, centres.astype(float), rtol=4e-16)
    assert fit.inertia == pytest.approx(float(distances.min(axis=1).sum()), rel=1e-7)


def test_constant_features_change_nothing() -> None:
    points = blobs(800, 3, 4, seed=15)
    constant = np.insert(points, 1, 12345.678, axis=1)
    fit, wider = lloyd(points, points[:4], 6), lloyd(constant, constant[:4], 6)
    np.testing.assert_array_equal(wider.labels, fit.labels)
    assert wider.centres[:, [0, 2, 3]].tobytes() == fit.centres.tobytes()
    assert (wider.centres[:, 1] == 12345.678).all()
    assert wider.inertia == fit.inertia


def test_rows_all_alike_give_their_own_centre() -> None:
    points = np.full((50, 2), 0.1)
    fit = lloyd(points, points[:3], 3)
    assert fit.centres.tobytes() == points[:3].tobytes()
    assert fit.inertia == 0.0
    assert (fit.labels == 0).all()


# Empty clusters.


def refilled_by_hand(
    points: Points, weights: Floats, centres: Floats, labels: NDArray[np.int32]
) -> tuple[NDArray[np.int32], int]:
    """The rule of `refill`, one row after another: labels, and how many clusters stay empty."""
    weights = weights if len(weights) else np.ones(len(points))
    labels = labels.copy()
    distances = ((points.astype(float) - centres[labels]) ** 2).sum(axis=1)
    moved = np.zeros(len(points), dtype=bool)
    empty = [cluster for cluster in range(len(centres)) if not ((labels == cluster) & (weights > 0)).any()]
    left = len(empty)
    for target in empty:
        best = None
        for row in range(len(points)):
            alone = ((labels == labels[row]) & (weights > 0)).sum() <= 1
            if moved[row] or alone or weights[row] == 0 or distances[row] == 0:
                continue
            if best is None or distances[row] > distances[best]:
                best = row
        if best is None:
            break
        labels[best], moved[best] = target, True
        left -= 1
    return labels, left


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ranks", [1, 3])
def test_empty_clusters_take_the_farthest_rows_of_clusters_that_can_spare_them(weighted: bool, ranks: int) -> None:
    for seed in range(12):
        rng = np.random.default_rng(seed)
        points = rng.integers(0, 4, size=(int(rng.integers(4, 40)), 2)).astype(float)  # many ties
        weights = rng.integers(0, 3, size=len(points)).astype(float) if weighted else NO_WEIGHTS
        if weighted:
            weights[0] = 1.0
        centres = np.concatenate([points[:2], points[:2], rng.normal(size=(2, 2)) * 100, points[1:4]])

        def one(comm: Any, points: Points = points, weights: Floats = weights, centres: Floats = centres) -> Any:
            table = deal(points, weights, comm)
            grid = survey_of(points, weights, table).grid
            labels = np.empty(len(table.points), dtype=np.int32)
            totals = kmeans.assign(table, grid, centres, labels)
            before = labels.copy()
            left = kmeans.refill(table, grid, centres, labels, totals)
            return before, labels, left, kmeans.move(grid, totals, centres)

        found = on_ranks(ranks, one)
        before = np.concatenate([part for part, *_ in found])
        labels = np.concatenate([part for _, part, *_ in found])
        expected, left = refilled_by_hand(points, weights, centres, before)
        np.testing.assert_array_equal(labels, expected)
        plain = weights if weighted else np.ones(len(points))
        for _, _, stayed, moved in found:
            assert stayed == left
            for cluster in range(len(centres)):
                own = (labels == cluster) & (plain > 0)
                mean = np.average(points[own], axis=0, weights=plain[own]) if own.any() else centres[cluster]
                np.testing.assert_allclose(moved[cluster], mean, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("ranks", [1, 3])
def test_the_only_row_of_a_cluster_is_never_taken_however_far_it_lies(ranks: int) -> None:
    lonely = np.arange(1.0, 7.0) * 1000
    points = np.concatenate([lonely, [0.1, 0.3, 0.2, 0.0]])[:, None]
    centres = np.concatenate([[0.0], lonely + 100, [1e6, 2e6]])[:, None]

    def one(comm: Communicator) -> tuple[int, list[int]]:
        table = deal(points, NO_WEIGHTS, comm)
        grid = survey_of(points, NO_WEIGHTS, table).grid
        labels = np.empty(len(table.points), dtype=np.int32)
        totals = kmeans.assign(table, grid, centres, labels)
        return kmeans.refill(table, grid, centres, labels, totals), labels.tolist()

    found = on_ranks(ranks, one)
    assert [left for left, _ in found] == [0] * ranks
    assert [label for _, labels in found for label in labels] == [1, 2, 3, 4, 5, 6, 0, 7, 8, 0]


def test_an_empty_cluster_without_a_row_to_take_keeps_its_centre() -> None:
    points = np.zeros((4, 1))
    centres = np.array([[0.0], [5.0]])
    fit = lloyd(points, centres, 3)
    assert fit.centres.tolist() == [[0.0], [5.0]]
    assert fit.empty == 1


def test_a_cluster_of_rows_of_tiny_weight_is_not_empty() -> None:
    points = np.array([[0.0], [1.0], [10.0], [11.0]])
    weights = np.array([1.0, 1.0, 1e-25, 1e-25])
    fit = lloyd(points, np.array([[0.0], [10.0]]), 4, weights)
    np.testing.assert_allclose(fit.centres, [[0.5], [10.5]], rtol=1e-5)


# Inertia.


@pytest.mark.parametrize("weighted", [False, True])
def test_inertia_is_exact(weighted: bool) -> None:
    points = blobs(300, 2, 3, seed=16)
    weights = np.random.default_rng(17).random(300) if weighted else NO_WEIGHTS
    fit = lloyd(points, points[:3], 4, weights)
    true = Fraction(0)
    for number, (row, label) in enumerate(zip(points.tolist(), fit.labels.tolist(), strict=True)):
        squared = sum((Fraction(x) - Fraction(c)) ** 2 for x, c in zip(row, fit.centres[label].tolist(), strict=True))
        true += squared * (Fraction(float(weights[number])) if weighted else 1)
    assert fit.inertia == pytest.approx(float(true), rel=1e-15)


@pytest.mark.parametrize("offset", [0.0, 1e8])
@pytest.mark.parametrize("weighted", [False, True])
def test_estimated_inertia_is_close_to_the_exact_one_and_falls(offset: float, weighted: bool) -> None:
    points = blobs(2000, 4, 5, seed=18) + offset
    weights = np.random.default_rng(19).random(2000) if weighted else NO_WEIGHTS
    fit = lloyd(points, points[:5], 10, weights)
    assert fit.estimates[-1] == pytest.approx(fit.inertia, rel=1e-9)
    assert all(later <= earlier * (1 + 1e-12) for earlier, later in zip(fit.estimates, fit.estimates[1:], strict=False))


def test_members_are_rows_with_weight() -> None:
    points = np.zeros((5, 1))
    labels = np.array([0, 2, 2, 2, 0], dtype=np.int32)
    assert kmeans.count_members(deal(points), labels, 4).tolist() == [2, 0, 3, 0]
    weights = np.array([1, 0, 1, 2, 0.5])
    assert kmeans.count_members(deal(points, weights), labels, 4).tolist() == [2, 0, 2, 0]
