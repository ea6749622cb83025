"""Sums of floats whose bits do not depend on the ranks: one fixed binary tree over the pieces of the work."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.parallel.communicator import Communicator, require_contiguous
from hpcjobs.parallel.shards import piece

# Elements that go up the tree at a time: few enough for those of all pieces to be in the cache.
SLICE = 2**15


def tree_sum(parts: Sequence[NDArray[Any]], pieces: int, out: NDArray[Any], communicator: Communicator) -> None:
    """Write to `out`, on every rank, the sum of one equally shaped array of each piece. Collective.

    `parts` are those of the pieces that this rank owns (`Shards.owned`), in order; they are overwritten. Piece i takes
    up piece i + 1 where i is even, then i + 2 where i divides by 4, and so on, whoever owns them.
    """
    require_contiguous(out)
    flat = out.reshape(-1)
    own = piece(pieces, communicator.size, communicator.rank)
    mine = {own.start + number: part.reshape(-1) for number, part in enumerate(parts)}
    assert len(mine) == len(own)
    owners = [rank for rank in range(communicator.size) for _ in range(len(piece(pieces, communicator.size, rank)))]
    for first in range(0, flat.size, SLICE):
        run = slice(first, first + SLICE)
        _climb({number: part[run] for number, part in mine.items()}, owners, flat[run], communicator)
    communicator.bcast(flat, owners[0])


def _climb(mine: dict[int, NDArray[Any]], owners: list[int], out: NDArray[Any], communicator: Communicator) -> None:
    """The sum of one slice, in `out` of the owner of piece 0. Every rank goes through the pairs in the same order."""
    rank, stride = communicator.rank, 1
    while stride < len(owners):
        for left in range(0, len(owners) - stride, 2 * stride):
            right = left + stride
            if owners[left] == owners[right] == rank:
                np.add(mine[left], mine[right], out=mine[left])
            elif owners[right] == rank:
                communicator.send(mine[right], owners[left])
            elif owners[left] == rank:
                communicator.recv(out, owners[right])
                np.add(mine[left], out, out=mine[left])
        stride *= 2
    if owners[0] == rank:
        out[...] = mine[0]
