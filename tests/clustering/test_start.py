"""Starting centres: drawn in proportion, the same rows on any number of ranks, as good as scikit-learn's."""

import math
from typing import Any

import numpy as np
import pytest
from clustering.tables import NO_WEIGHTS, blobs, deal
from clustering.threads_comm import on_ranks
from numpy.typing import NDArray
from sklearn.cluster import kmeans_plusplus as their_kmeans_plus_plus

from hpcjobs.clustering.exact import BLOCK, Column
from hpcjobs.clustering.start import Masses, kmeans_plus_plus, random_rows
from hpcjobs.parallel.communicator import Communicator, SerialCommunicator
from hpcjobs.parallel.randomness import Stream
from hpcjobs.parallel.shards import piece

Floats = NDArray[np.float64]
STARTS = {"k-means++": kmeans_plus_plus, "random": random_rows}


def potential(points: Floats, centres: Floats) -> float:
    return float(((points[:, None] - centres) ** 2).sum(axis=2).min(axis=1).sum())


# Drawing.


@pytest.mark.parametrize("ranks", [1, 2, 5])
def test_a_draw_finds_the_row_in_which_the_running_sum_passes_it(ranks: int) -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 3, size=2 * BLOCK + 77).astype(np.float64) / 8
    values[0] = 2.0**-1
    removed = [0, 5, BLOCK, len(values) - 1]
    spans = [piece(len(values), ranks, rank) for rank in range(ranks)]

    def one(communicator: Communicator) -> list[tuple[int, int]]:
        span = spans[communicator.rank]
        own = values[span.start : span.stop]
        masses = Masses(Column(len(own), lambda run: own[run]), len(values), communicator)
        for row in removed:
            holder = next(rank for rank in range(ranks) if spans[rank].start <= row < spans[rank].stop)
            masses.remove(holder, row - spans[holder].start)
        assert masses.total == expected[-1]
        return [masses.find(target) for target in targets]

    scale = 2.0 ** (62 - (len(values) - 1).bit_length()) / values.max() / 2
    left = values.copy()
    left[removed] = 0.0
    expected = np.cumsum((left * scale).astype(np.int64))
    targets = [0, 1, int(expected[-1]) - 1, *(int(expected[row]) for row in (100, 5000, BLOCK, 2 * BLOCK))]
    targets += [target - 1 for target in targets[3:]] + [Stream(0, "test").below(int(expected[-1])) for _ in range(50)]
    for rank, found in enumerate(on_ranks(ranks, one)):
        for target, (holder, local) in zip(targets, found, strict=True):
            row = int(np.searchsorted(expected, target, side="right"))
            assert spans[holder].start <= row < spans[holder].stop
            assert local == (row - spans[holder].start if holder == rank else -1)


def test_rows_are_drawn_in_proportion_to_their_weight() -> None:
    points = np.arange(4.0)[:, None]
    weights = np.array([1.0, 0.0, 3.0, 6.0])
    drawn = [random_rows(deal(points, weights), 1, Stream(seed, "test"))[0, 0] for seed in range(3000)]
    shares = np.bincount(np.array(drawn, dtype=int), minlength=4) / 3000
    np.testing.assert_allclose(shares, weights / 10, atol=0.04)  # above four standard deviations
    assert shares[1] == 0


def test_random_rows_are_different_rows_and_all_of_them_in_the_end() -> None:
    points = np.random.default_rng(1).normal(size=(50, 3))
    found = random_rows(deal(points), 50, Stream(0, "test"))
    assert sorted(map(tuple, found)) == sorted(map(tuple, points))


def test_more_random_centres_than_rows_with_weight_repeat_the_first() -> None:
    points = np.arange(5.0)[:, None]
    found = random_rows(deal(points, np.array([0.0, 1.0, 0.0, 1.0, 0.0])), 4, Stream(0, "test"))[:, 0]
    assert sorted(found[:2]) == [1.0, 3.0]
    assert (found[2:] == found[0]).all()


# Same rows on any number of ranks.


@pytest.mark.parametrize("name", STARTS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_start_has_the_same_bits_on_any_number_of_ranks(name: str, dtype: str, weighted: bool) -> None:
    points: NDArray[Any] = (blobs(700, 3, 6, seed=2) * 8 + 100).clip(0, 255).astype(dtype)
    weights = np.random.default_rng(3).random(700) if weighted else NO_WEIGHTS
    starts = [
        found.tobytes()
        for size in (1, 2, 3, 4, 7)
        for found in on_ranks(size, lambda comm: STARTS[name](deal(points, weights, comm), 9, Stream(4, "test")))
    ]
    assert len(set(starts)) == 1


@pytest.mark.parametrize("name", STARTS)
def test_more_ranks_than_rows_start_alike(name: str) -> None:
    points = blobs(5, 2, 2, seed=5)
    expected = STARTS[name](deal(points), 4, Stream(6, "test"))
    for found in on_ranks(8, lambda comm: STARTS[name](deal(points, NO_WEIGHTS, comm), 4, Stream(6, "test"))):
        assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", STARTS)
def test_negative_zero_comes_through_the_message(name: str) -> None:
    points = np.array([[-0.0, 1.0], [-0.0, 5.0]])
    for found in on_ranks(2, lambda comm: STARTS[name](deal(points, NO_WEIGHTS, comm), 2, Stream(0, "test"))):
        assert np.signbit(found[:, 0]).all()


# k-means++.


def by_hand(points: Floats, weights: Floats, clusters: int, stream: Stream) -> Floats:
    """Greedy k-means++ with Python's integers and no blocks."""

    def on_grid(values: list[float], largest: float) -> list[int]:
        bits = 62 - (len(points) - 1).bit_length()
        scale = 2.0 ** (bits - math.frexp(largest)[1])
        return [round(value * scale) for value in values]

    def draw(masses: list[int]) -> int:
        target = stream.below(sum(masses))
        for row, mass in enumerate(masses):
            if target < mass:
                return row
            target -= mass
        raise AssertionError

    def squared(row: list[float], centre: list[float]) -> float:
        total = 0.0
        for x, c in zip(row, centre, strict=True):
            total += (x - c) * (x - c)
        return total

    rows, heavy = points.tolist(), weights.tolist()
    centres = [rows[draw(on_grid(heavy, max(heavy)))]]
    closest = [math.inf] * len(rows)
    while len(centres) < clusters:
        closest = [min(old, squared(row, centres[-1])) for old, row in zip(closest, rows, strict=True)]
        products = [weight * value for weight, value in zip(heavy, closest, strict=True)]
        largest = max(products)
        if largest == 0:
            centres.append(rows[draw(on_grid(heavy, max(heavy)))])
            continue
        masses = on_grid(products, largest)
        trials = [rows[draw(masses)] for _ in range(2 + int(math.log(clusters)))]
        left = [
            sum(on_grid([w * min(c, squared(r, t)) for w, c, r in zip(heavy, closest, rows, strict=True)], largest))
            for t in trials
        ]
        centres.append(trials[left.index(min(left))])
    return np.array(centres)


@pytest.mark.parametrize("weighted", [False, True])
def test_kmeans_plus_plus_is_its_definition(weighted: bool) -> None:
    for seed in range(5):
        points = np.round(blobs(120, 2, 4, seed=seed), 2)
        weights = np.random.default_rng(seed).integers(0, 4, size=120) / 4 if weighted else np.ones(120)
        found = kmeans_plus_plus(deal(points, weights if weighted else NO_WEIGHTS), 12, Stream(seed, "test"))
        assert found.tolist() == by_hand(points, weights, 12, Stream(seed, "test")).tolist()


def test_kmeans_plus_plus_beyond_the_distinct_rows_repeats_rows() -> None:
    points = np.repeat(np.arange(3.0), 10)[:, None]
    found = kmeans_plus_plus(deal(points), 7, Stream(0, "test"))
    assert sorted(set(found[:3, 0])) == [0.0, 1.0, 2.0]
    assert set(found[:, 0]) == {0.0, 1.0, 2.0}


def test_kmeans_plus_plus_never_takes_a_row_without_weight() -> None:
    points = blobs(300, 2, 5, seed=7)
    weights = np.ones(300)
    weights[::2] = 0.0
    allowed = set(map(tuple, points[weights > 0]))
    for seed in range(10):
        assert set(map(tuple, kmeans_plus_plus(deal(points, weights), 8, Stream(seed, "test")))) <= allowed


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30, 1e140])
def test_kmeans_plus_plus_works_at_every_magnitude(scale: float) -> None:
    points = blobs(300, 2, 5, seed=8) * scale
    found = kmeans_plus_plus(deal(points), 5, Stream(0, "test"))
    assert set(map(tuple, found)) <= set(map(tuple, points))


def test_kmeans_plus_plus_is_as_good_as_that_of_scikit_learn() -> None:
    points = blobs(2000, 4, 12, seed=9)
    ours = [potential(points, kmeans_plus_plus(deal(points), 12, Stream(seed, "test"))) for seed in range(40)]
    theirs = [potential(points, their_kmeans_plus_plus(points, 12, random_state=seed)[0]) for seed in range(40)]
    random = [potential(points, random_rows(deal(points), 12, Stream(seed, "test"))) for seed in range(40)]
    assert np.mean(ours) < 1.1 * np.mean(theirs)
    assert np.mean(ours) < 0.5 * np.mean(random)


def test_the_start_depends_on_the_seed() -> None:
    table = deal(blobs(300, 2, 5, seed=10), NO_WEIGHTS, SerialCommunicator())
    starts = {kmeans_plus_plus(table, 5, Stream(seed, "test")).tobytes() for seed in range(5)}
    assert len(starts) == 5
