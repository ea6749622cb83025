"""Float sums over ranks: one tree over the pieces, so one result, whoever owns them."""

import numpy as np
import pytest
from clustering.threads_comm import on_ranks
from numpy.typing import NDArray

from hpcjobs.parallel.communicator import Communicator
from hpcjobs.parallel.reduction import Exchange, tree_sum
from hpcjobs.parallel.shards import piece
from hpcjobs.parallel.tree import SLICE, add_up, blocks, joins


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


def exchanged(pieces: int, communicator: Communicator, dtype: type, pokes: int) -> list[NDArray[np.floating]]:
    """The sums of runs that were started one after the other, from the last to the first, of two steps."""
    own, draw = piece(pieces, communicator.size, communicator.rank), np.random.default_rng(communicator.rank)
    places: dict[str, NDArray[np.floating]] = {}

    def empty(name: str, shape: tuple[int, ...], kind: np.dtype) -> NDArray[np.floating]:
        return places.setdefault(name, np.full(shape, np.nan, dtype=kind))

    found = []
    for step in range(2):
        parts = {index: part(index + 100 * step, 25).astype(dtype) for index in range(own.start, own.stop)}
        add_up(parts, joins(pieces, own))
        rows = [parts[first] for first in blocks(pieces, own)] or [np.full(25, np.nan, dtype=dtype)]
        exchange, small = Exchange(rows, pieces, communicator, empty), np.empty(3, dtype=dtype)
        for run in (slice(18, 25), slice(16, 18), slice(5, 16)):
            exchange.start(run)
            for _ in range(draw.integers(0, pokes + 1)):
                exchange.poke()
            tree_sum([np.ones(3, dtype=dtype) for _ in range(len(own))], pieces, small, communicator)  # in between
            np.testing.assert_array_equal(small, pieces)
        exchange.wait()
        exchange.wait()
        found.append(rows[0][5:].copy())
    return found


def check_exchanged(found: list[NDArray[np.floating]], pieces: int, dtype: type) -> None:
    for step, total in enumerate(found):
        expected = by_hand([part(index + 100 * step, 25).astype(dtype) for index in range(pieces)])
        assert total.tobytes() == expected[5:].tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("pieces", [1, 5, 8])
@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 5, 8, 11])
def test_runs_that_travel_together_are_summed_in_the_tree(pieces: int, ranks: int, dtype: type) -> None:
    for found in on_ranks(ranks, lambda communicator: exchanged(pieces, communicator, dtype, 3)):
        check_exchanged(found, pieces, dtype)


@pytest.mark.mpi(ranks=(1, 2, 3))
def test_runs_that_travel_over_mpi_are_summed_in_the_tree() -> None:
    from hpcjobs.parallel.mpi import MPICommunicator

    for pieces in (1, 5, 8):
        for size in (2**30, 3):
            check_exchanged(exchanged(pieces, MPICommunicator(piece=size), np.float32, 5), pieces, np.float32)
