"""The order of additions: that of a plain recursion over halves, whoever owns which pieces."""

import numpy as np
import pytest
from numpy.typing import NDArray

from hpcjobs.parallel.shards import Span, piece
from hpcjobs.parallel.tree import SLICE, add_up, blocks, joins, owners, upper_joins


def plain(parts: list[NDArray[np.floating]], first: int, width: int) -> NDArray[np.floating]:
    """The sum of pieces `first` to `first + width`, a power of two, as far as there are any: of both halves."""
    half = width // 2
    if width == 1:
        return parts[first]
    left = plain(parts, first, half)
    return left + plain(parts, first + half, half) if first + half < len(parts) else left


def width_of(pieces: int) -> int:
    return 1 << (pieces - 1).bit_length()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("pieces", [1, 2, 3, 4, 5, 6, 7, 8, 13, 16, 33])
def test_blocks_of_ranks_and_what_is_above_them_add_in_the_order_of_the_recursion(pieces: int, dtype: type) -> None:
    draw = np.random.default_rng(pieces)
    parts = [(draw.normal(size=9) * 10.0 ** draw.integers(-3, 4, 9)).astype(dtype) for _ in range(pieces)]
    expected = plain(parts, 0, width_of(pieces)).tobytes()
    for ranks in range(1, pieces + 4):
        sums = {index: part.copy() for index, part in enumerate(parts)}
        for rank in range(ranks):
            add_up(sums, joins(pieces, piece(pieces, ranks, rank)))
        left = {first: sums[first] for first, _ in owners(pieces, ranks)}
        add_up(left, upper_joins(pieces, ranks))
        assert left[0].tobytes() == expected


@pytest.mark.parametrize("pieces", [1, 5, 8, 11])
def test_blocks_are_the_largest_parts_of_the_tree_that_a_rank_owns(pieces: int) -> None:
    widths = [1 << level for level in range(width_of(pieces).bit_length())]
    nodes = {(first, min(first + width, pieces)) for width in widths for first in range(0, pieces, width)}
    for start in range(pieces + 1):
        for stop in range(start, pieces + 1):
            inside = [node for node in nodes if start <= node[0] and node[1] <= stop]
            largest = {
                node for node in inside if not any(o != node and o[0] <= node[0] and node[1] <= o[1] for o in inside)
            }
            assert list(blocks(pieces, Span(start, stop))) == sorted(first for first, _ in largest)


def test_pieces_of_three_ranks() -> None:
    assert owners(8, 3) == ((0, 0), (2, 1), (4, 1), (5, 2), (6, 2))
    assert upper_joins(8, 3) == ((4, 5), (0, 2), (4, 6), (0, 4))


def test_every_piece_is_taken_up_once_on_ten_thousand_ranks() -> None:
    pieces, ranks = 100_003, 10_000
    firsts = [first for first, _ in owners(pieces, ranks)]
    taken = [right for rank in range(ranks) for _, right in joins(pieces, piece(pieces, ranks, rank))]
    assert sorted(firsts + taken) == list(range(pieces))
    assert sorted(right for _, right in upper_joins(pieces, ranks)) == firsts[1:]


def test_long_parts_are_added_to_their_end() -> None:
    parts = {index: np.full(2 * SLICE + 3, 2.0**index) for index in range(3)}
    add_up(parts, joins(3, Span(0, 3)))
    np.testing.assert_array_equal(parts[0], 7.0)
    add_up({}, ())
