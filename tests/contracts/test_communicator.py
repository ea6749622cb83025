"""One contract for every communicator: what a rank sends follows from its number, so NumPy can tell."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from clustering.threads_comm import on_ranks
from numpy.typing import NDArray

from hpcjobs.parallel.communicator import Communicator, SerialCommunicator

TYPES = ["int8", "uint8", "int32", "int64", "uint64", "float32", "float64"]
SHAPES = [(), (1,), (7,), (3, 5), (2, 3, 4), (0,), (4, 0)]  # pieces of 3 elements divide none of them evenly


def sent_by(rank: int, shape: tuple[int, ...], dtype: str = "int64") -> NDArray[Any]:
    """The array of one rank: small numbers in an order of its own."""
    return np.random.default_rng(rank).integers(0, 9, shape).astype(dtype)


def sent_by_all(communicator: Communicator, shape: tuple[int, ...], dtype: str = "int64") -> NDArray[Any]:
    """What every rank sends, stacked."""
    return np.stack([sent_by(rank, shape, dtype) for rank in range(communicator.size)])


def bcast_hands_out_the_array_of_any_root(communicator: Communicator) -> None:
    for root in range(communicator.size):
        for shape in SHAPES:
            for dtype in TYPES:
                array = sent_by(communicator.rank, shape, dtype)
                communicator.bcast(array, root=root)
                np.testing.assert_array_equal(array, sent_by(root, shape, dtype), strict=True)


def bcast_keeps_every_bit_of_floats(communicator: Communicator) -> None:
    bits = np.array([0x7FF8000000000001, 1 << 63, 1, 0xFFF0000000000000], dtype=np.uint64)  # NaN, -0, denormal
    array = (bits if communicator.rank == 0 else np.zeros_like(bits)).view(np.float64)
    communicator.bcast(array)
    np.testing.assert_array_equal(array.view(np.uint64), bits)


def allreduce_sum_adds_integers_in_place(communicator: Communicator) -> None:
    for shape in SHAPES:
        for dtype in ("int8", "uint8", "int32", "int64", "uint64"):
            array = sent_by(communicator.rank, shape, dtype)
            communicator.allreduce_sum(array)
            expected = sent_by_all(communicator, shape, dtype).sum(axis=0, dtype=dtype)
            np.testing.assert_array_equal(array, expected, strict=True)


def allreduce_sum_is_exact_at_the_edge_of_64_bits(communicator: Communicator) -> None:
    share, rest = divmod(2**63 - 1, communicator.size)
    array = np.array([share + (rest if communicator.rank == 0 else 0), -share], dtype=np.int64)
    communicator.allreduce_sum(array)
    assert array.tolist() == [2**63 - 1, -share * communicator.size]


def allreduce_sum_refuses_what_is_not_an_integer(communicator: Communicator) -> None:
    for dtype in ("float32", "float64", "complex128", "bool"):
        with pytest.raises(TypeError, match=f"integers only, not of {dtype}"):
            communicator.allreduce_sum(np.zeros(3, dtype=dtype))


def allreduce_max_takes_the_largest_of_each_element(communicator: Communicator) -> None:
    for shape in SHAPES:
        for dtype in TYPES:
            array = sent_by(communicator.rank, shape, dtype)
            communicator.allreduce_max(array)
            expected = sent_by_all(communicator, shape, dtype).max(axis=0)
            np.testing.assert_array_equal(array, expected, strict=True)


def allgather_stacks_by_rank(communicator: Communicator) -> None:
    for shape in SHAPES:
        for dtype in TYPES:
            array = sent_by(communicator.rank, shape, dtype)
            gathered = communicator.allgather(array)
            np.testing.assert_array_equal(gathered, sent_by_all(communicator, shape, dtype), strict=True)
            np.testing.assert_array_equal(array, sent_by(communicator.rank, shape, dtype))
            assert not np.shares_memory(gathered, array)


def allgather_takes_arrays_of_any_layout(communicator: Communicator) -> None:
    gathered = communicator.allgather(sent_by(communicator.rank, (4, 6)).T[::2])
    np.testing.assert_array_equal(gathered, sent_by_all(communicator, (4, 6)).transpose(0, 2, 1)[:, ::2])


def buffers_that_are_not_contiguous_are_refused(communicator: Communicator) -> None:
    square = np.arange(16).reshape(4, 4)
    for array in (np.arange(8)[::2], np.arange(8)[::-1], square[:, 0], square[::2], square.T):
        before = array.copy()
        for verb in (communicator.bcast, communicator.allreduce_sum, communicator.allreduce_max):
            with pytest.raises(ValueError, match="contiguous"):
                verb(array)
        np.testing.assert_array_equal(array, before)


def contiguous_parts_of_larger_arrays_are_taken(communicator: Communicator) -> None:
    table = np.zeros((5, 4), dtype=np.int64)
    communicator.allreduce_sum(table[2])  # nothing: zeros
    table[1:3] = communicator.rank + 1
    communicator.allreduce_sum(table[1:3])
    total = communicator.size * (communicator.size + 1) // 2
    np.testing.assert_array_equal(table, [[row in (1, 2) and total] * 4 for row in range(5)])


def object_verbs_carry_any_value(communicator: Communicator) -> None:
    mine = {
        "rank": communicator.rank,
        "text": "größer" * communicator.rank,
        "array": np.arange(communicator.rank),
    }
    for root in range(communicator.size):
        assert communicator.bcast_object(mine if communicator.rank == root else None, root=root)["rank"] == root
    gathered = communicator.allgather_object(mine)
    assert [value["text"] for value in gathered] == ["größer" * rank for rank in range(communicator.size)]
    assert [value["array"].size for value in gathered] == list(range(communicator.size))


def messages_between_two_ranks_arrive_in_order(communicator: Communicator) -> None:
    rank, arrays = communicator.rank, [(shape, dtype) for shape in SHAPES for dtype in TYPES]
    others = [other for other in range(communicator.size) if other != rank]
    for wait in (True, False):
        outgoing = [(other, sent_by(rank + other, *array)) for other in others for array in arrays]
        incoming = [(other, np.zeros(*array)) for array in arrays for other in reversed(others)]
        request = communicator.start_exchange(outgoing, incoming, 1)
        if wait:
            request.wait()
        while not request.done():
            pass
        expected = [sent_by(rank + other, *array) for array in arrays for other in reversed(others)]
        for (_, found), array in zip(incoming, expected, strict=True):
            np.testing.assert_array_equal(found, array, strict=True)
        request.wait()


def messages_of_other_tags_may_be_started_and_ended_in_any_order(communicator: Communicator) -> None:
    rank, places = communicator.rank, {tag: np.zeros((communicator.size, 5)) for tag in range(4)}
    requests = {}
    for tag in sorted(places, reverse=rank % 2 > 0):
        outgoing = [(to, np.full(5, 10.0 * tag + rank)) for to in range(communicator.size) if to != rank]
        incoming = [(other, place) for other, place in enumerate(places[tag]) if other != rank]
        requests[tag] = communicator.start_exchange(outgoing, incoming, tag)
    for tag in (2, 0, 3, 1):
        requests[tag].wait()
    for tag, place in places.items():
        place[rank] = 10.0 * tag + rank
        np.testing.assert_array_equal(place, 10.0 * tag + np.arange(communicator.size)[:, None] + np.zeros(5))


def one_rank_may_send_what_nobody_answers(communicator: Communicator) -> None:
    first = communicator.rank == 0
    array = np.arange(7) if first else np.zeros(7, dtype=np.int64)
    outgoing = [(to, array) for to in range(1, communicator.size)] if first else []
    communicator.start_exchange(outgoing, [] if first else [(0, array)], 0).wait()
    np.testing.assert_array_equal(array, np.arange(7))


def node_ranks_count_up_on_one_host(communicator: Communicator) -> None:
    assert communicator.allgather_object(communicator.node_rank()) == list(range(communicator.size))


def rank_and_size_belong_together(communicator: Communicator) -> None:
    assert communicator.allgather_object(communicator.rank) == list(range(communicator.size))
    assert communicator.allgather_object(communicator.size) == [communicator.size] * communicator.size
    assert communicator.library == communicator.library.strip() and "\n" not in communicator.library
    communicator.barrier()


PROMISES: list[Callable[[Communicator], None]] = [
    bcast_hands_out_the_array_of_any_root,
    bcast_keeps_every_bit_of_floats,
    allreduce_sum_adds_integers_in_place,
    allreduce_sum_is_exact_at_the_edge_of_64_bits,
    allreduce_sum_refuses_what_is_not_an_integer,
    allreduce_max_takes_the_largest_of_each_element,
    allgather_stacks_by_rank,
    allgather_takes_arrays_of_any_layout,
    buffers_that_are_not_contiguous_are_refused,
    contiguous_parts_of_larger_arrays_are_taken,
    object_verbs_carry_any_value,
    messages_between_two_ranks_arrive_in_order,
    messages_of_other_tags_may_be_started_and_ended_in_any_order,
    one_rank_may_send_what_nobody_answers,
    node_ranks_count_up_on_one_host,
    rank_and_size_belong_together,
]


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_serial_communicator_keeps_its_promise(promise: Callable[[Communicator], None]) -> None:
    promise(SerialCommunicator())


# Messages above 2^31 elements travel in pieces: tried with small pieces.
@pytest.mark.mpi(ranks=(1, 2, 3, 4))
@pytest.mark.parametrize("piece", [2**30, 3, 1])
def test_mpi_communicator_keeps_every_promise(piece: int) -> None:
    from hpcjobs.parallel.mpi import MPICommunicator

    for promise in PROMISES:
        promise(MPICommunicator(piece=piece))


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_threads_as_ranks_keep_the_promises_of_messages(ranks: int) -> None:
    for promise in PROMISES:
        if "message" in promise.__name__ or "one_rank" in promise.__name__:
            on_ranks(ranks, promise)
