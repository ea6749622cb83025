"""The farthest rows: as many as asked for, the first of equals, on any number of ranks."""

import numpy as np
import pytest
from clustering.tables import deal
from clustering.threads_comm import on_ranks
from numpy.typing import NDArray

from hpcjobs.clustering.outliers import farthest
from hpcjobs.parallel.communicator import Communicator


def marked(distances: NDArray[np.float64], count: int, ranks: int) -> list[int]:
    def one(communicator: Communicator) -> list[int]:
        table = deal(distances[:, None], communicator=communicator)
        return farthest(table, np.asarray(table.points)[:, 0].copy(), count).tolist()

    return [mark for marks in on_ranks(ranks, one) for mark in marks]


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 50])
@pytest.mark.parametrize("count", [0, 1, 5, 20, 39, 40])
def test_the_farthest_rows_are_marked_and_of_equals_the_first(count: int, ranks: int) -> None:
    for distances in (
        np.random.default_rng(1).random(40),
        np.random.default_rng(2).integers(0, 4, size=40) / 3,
        np.zeros(40),
    ):
        order = sorted(range(40), key=lambda row: (-distances[row], row))
        expected = [int(row in order[:count]) for row in range(40)]
        assert marked(distances, count, ranks) == expected
