"""Mini-batches: the same rows on any number of ranks, centres that are means of all they were given."""

from dataclasses import replace

import numpy as np
import pytest
from clustering.tables import NO_WEIGHTS, blobs, deal, lloyd, survey_of
from clustering.threads_comm import on_ranks
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans

from hpcjobs.clustering import kmeans, minibatch
from hpcjobs.clustering.table import Table
from hpcjobs.parallel.communicator import Communicator

Floats = NDArray[np.float64]


def numbered(communicator: Communicator, rows: int, left_out: slice | None = None) -> Table:
    """Rows that hold their own number, some left out."""
    table = deal(np.arange(float(rows))[:, None], communicator=communicator)
    if left_out is None:
        return table
    own = np.asarray(table.points)
    holes = np.zeros(rows, dtype=bool)
    holes[left_out] = True
    kept = np.flatnonzero(~holes[own[:, 0].astype(int)])
    return replace(table, points=own[kept], kept=kept)


@pytest.mark.parametrize("left_out", [None, slice(0, 90), slice(None, None, 2)])
def test_a_batch_has_the_same_rows_on_any_number_of_ranks(left_out: slice | None) -> None:
    def one(communicator: Communicator) -> list[float]:
        table = numbered(communicator, 100, left_out)
        drawn = [minibatch.draw(table, 64, 1, 0, step) for step in range(3)]
        assert {batch.rows for batch in drawn} == {min(64, table.place()[1])}
        own = [np.asarray(batch.points)[:, 0].tolist() for batch in drawn]
        every: list[list[list[float]]] = communicator.allgather_object(own)
        return [number for step in range(3) for ranks in every for number in ranks[step]]

    expected = on_ranks(1, one)[0]
    assert len(expected) == 3 * (64 if left_out is None else 10 if left_out == slice(0, 90) else 50)
    for ranks in (2, 3, 4, 130):
        for found in on_ranks(ranks, one):
            assert found == expected


def test_every_row_is_drawn_equally_often() -> None:
    drawn = np.concatenate(
        on_ranks(1, lambda comm: [minibatch.draw(numbered(comm, 10), 10, 0, 0, step).points for step in range(2000)])[0]
    )
    counts = np.bincount(drawn[:, 0].astype(int), minlength=10)
    assert float(((counts - 2000) ** 2 / 2000).sum()) < 28  # 99.9 % of chi-squared with 9 degrees of freedom


def test_steps_and_starts_draw_other_rows() -> None:
    table = numbered(deal(np.zeros((1, 1))).communicator, 10**5)
    seen = {minibatch.draw(table, 50, 0, start, step).points.tobytes() for start in range(3) for step in range(5)}  # type: ignore[union-attr]
    assert len(seen) == 15


def test_a_centre_is_the_mean_of_all_rows_that_it_was_given() -> None:
    points = blobs(200, 3, 4, seed=1)
    weights = np.random.default_rng(2).random(200)
    table = deal(points, weights)
    ground = survey_of(points, weights, table)
    centres, seen = points[:4].copy(), np.zeros(4)
    sums, masses = np.zeros((4, 3)), np.zeros(4)
    for step in range(6):
        batch = minibatch.draw(table, 30, 0, 0, step)
        labels = np.empty(30, dtype=np.int32)
        totals = kmeans.assign(batch, ground.grid, centres, labels)
        np.add.at(sums, labels, batch.weights[:, None] * batch.points)  # type: ignore[operator]
        np.add.at(masses, labels, batch.weights)
        centres, seen = minibatch.move(ground.grid, totals, centres, seen)
        np.testing.assert_allclose(seen, masses, rtol=1e-12)
        given = masses > 0
        np.testing.assert_allclose(centres[given], sums[given] / masses[given, None], rtol=1e-10, atol=1e-12)
        assert (centres[~given] == points[:4][~given]).all()


def test_a_batch_without_weight_moves_nothing() -> None:
    points = blobs(20, 2, 2, seed=3)
    weights = np.zeros(20)
    weights[0] = 1.0
    ground = survey_of(points, weights, deal(points, weights))
    none = deal(points[1:], weights[1:])
    totals = kmeans.assign(none, ground.grid, points[:3], np.empty(19, dtype=np.int32))
    centres, seen = minibatch.move(ground.grid, totals, points[:3], np.array([0.0, 1.0, 2.0]))
    assert (centres == points[:3]).all()
    assert seen.tolist() == [0.0, 1.0, 2.0]


def test_the_shift_is_averaged_over_about_one_look_at_the_rows() -> None:
    assert minibatch.smooth(np.inf, 3.0, 10, 1000) == 3.0
    assert minibatch.smooth(4.0, 1.0, 999, 1000) == 4.0 - 3.0 * (2 * 999 / 1001 if 2 * 999 < 1001 else 1.0)
    smooth = 4.0
    for _ in range(1000):
        smooth = minibatch.smooth(smooth, 1.0, 10, 1000)
    assert smooth == pytest.approx(1.0, abs=1e-6)


def test_batches_come_near_what_scikit_learn_and_lloyd_find() -> None:
    points = blobs(3000, 4, 6, seed=4)
    start = points[:6].copy()
    table = deal(points)
    ground = survey_of(points, NO_WEIGHTS, table)
    centres, seen = start, np.zeros(6)
    for step in range(60):
        batch = minibatch.draw(table, 200, 0, 0, step)
        totals = kmeans.assign(batch, ground.grid, centres, np.empty(200, dtype=np.int32))
        centres, seen = minibatch.move(ground.grid, totals, centres, seen)
    ours = lloyd(points, centres, 0).inertia
    theirs = MiniBatchKMeans(6, init=start, n_init=1, batch_size=200, random_state=0, reassignment_ratio=0)
    assert ours <= 1.1 * theirs.fit(points).inertia_
    assert ours <= 1.1 * lloyd(points, start, 60).inertia
