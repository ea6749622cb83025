"""The one binary tree in which what the pieces of the work give is added, whoever owns them."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.parallel.shards import Span, piece

Join = tuple[int, int]  # piece `left` takes up piece `right`
# Elements that go up the tree at a time: few enough for those of all pieces to be in the cache.
SLICE = 2**15


@cache
def joins(pieces: int, own: Span) -> tuple[Join, ...]:
    """The additions of the tree that ask for no piece outside `own`, in order.

    Piece i takes up piece i + 1 where i is even, then i + 2 where i divides by 4, and so on.
    """
    found: list[Join] = []
    stride = 1
    while stride < pieces:
        start = -(-own.start // (2 * stride)) * 2 * stride
        found += [
            (left, left + stride)
            for left in range(start, min(own.stop, pieces - stride), 2 * stride)
            if min(left + 2 * stride, pieces) <= own.stop
        ]
        stride *= 2
    return tuple(found)


@cache
def blocks(pieces: int, own: Span) -> tuple[int, ...]:
    """The first pieces of the blocks of `own`: of the largest parts of the tree that lie in it."""
    taken = {right for _, right in joins(pieces, own)}
    return tuple(first for first in range(own.start, own.stop) if first not in taken)


@cache
def owners(pieces: int, ranks: int) -> tuple[tuple[int, int], ...]:
    """(first piece, rank) of the blocks of all ranks, in order."""
    return tuple(
        (first, rank) for rank in range(ranks) for first in blocks(pieces, piece(pieces, ranks, rank))
    )  # fmt: skip


@cache
def upper_joins(pieces: int, ranks: int) -> tuple[Join, ...]:
    """The additions that are left when every rank has added up its blocks, in order."""
    firsts = {first for first, _ in owners(pieces, ranks)}
    return tuple(pair for pair in joins(pieces, Span(0, pieces)) if pair[1] in firsts)


def add_up(parts: Mapping[int, NDArray[Any]], pairs: Sequence[Join]) -> None:
    """Carry out additions on the flat, equally long `parts` of pieces, in place."""
    longest = max((parts[left].size for left, _ in pairs), default=0)
    for start in range(0, longest, SLICE):
        run = slice(start, start + SLICE)
        for left, right in pairs:
            np.add(parts[left][run], parts[right][run], out=parts[left][run])
