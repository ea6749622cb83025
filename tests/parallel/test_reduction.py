"""Float sums over ranks: one tree over the pieces, so one result, whoever owns them."""

import numpy as np
import pytest
from clustering.threads_comm import on_ranks
from numpy.typing import NDArray

from hpcjobs.parallel.communicator import Communicator
from hpcjobs.parallel.reduction import SLICE, tree_sum
from hpcjobs.parallel.shards import piece


def part(index: int, length: int) -> NDArray[np.float32]:
    return (np.random.default_rng(index).normal(size=length) * 10.0 ** (index % 5)).astype(np.float32)


def summed(pieces: int, length: int, communicator: Communicator) -> NDArray[np.float32]:
    own = piece(pieces, communicator.size, communicator.rank)
    out = np.full(length, np.nan, dtype=np.float32)
    tree_sum([part(index, length) for index in range(own.start, own.stop)], pieces, out, communicator)
    return out


def by_hand(parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The tree, level by level: neighbours are added, one without a neighbour goes up as it is."""
    while len(parts) > 1:
        parts = [a[0] + a[1] if len(a) == 2 else a[0] for a in (parts[i : i + 2] for i in range(0, len(parts), 2))]
    return parts[0]


@pytest.mark.parametrize("pieces", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 8, 11])
def test_the_sum_is_that_of_the_tree_on_any_number_of_ranks(pieces: int, ranks: int) -> None:
    expected = by_hand([part(index, 7) for index in range(pieces)])
    for found in on_ranks(ranks, lambda communicator: summed(pieces, 7, communicator)):
        np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))


def test_long_arrays_go_up_in_slices() -> None:
    length = 2 * SLICE + 3
    expected = by_hand([part(index, length) for index in range(8)])
    for found in on_ranks(3, lambda communicator: summed(8, length, communicator)):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.mpi(ranks=(1, 2, 3))
def test_the_sum_over_mpi_is_that_of_the_tree() -> None:
    from hpcjobs.parallel.mpi import MPICommunicator

    for pieces in (1, 2, 5, 8):
        found = summed(pieces, SLICE + 5, MPICommunicator())
        np.testing.assert_array_equal(found, by_hand([part(index, SLICE + 5) for index in range(pieces)]))
