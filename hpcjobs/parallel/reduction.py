"""Sums of floats over all pieces of the work whose bits do not depend on the ranks, also while ranks go on working."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.parallel.communicator import Communicator, Request, require_contiguous
from hpcjobs.parallel.shards import piece
from hpcjobs.parallel.tree import add_up, blocks, joins, owners, upper_joins

Array = NDArray[Any]
Empty = Callable[[str, tuple[int, ...], Any], Array]  # name, shape, type: gives an array of any content


def tree_sum(parts: Sequence[Array], pieces: int, out: Array, communicator: Communicator) -> None:
    """Write to `out`, on every rank, the sum of one equally shaped array of each piece. Collective.

    `parts` are those of the pieces that this rank owns (`Shards.owned`), in order; they are overwritten.
    """
    require_contiguous(out)
    own = piece(pieces, communicator.size, communicator.rank)
    assert len(parts) == len(own)
    mine = {own.start + number: part.reshape(-1) for number, part in enumerate(parts)}
    add_up(mine, joins(pieces, own))
    rows = [mine[first] for first in blocks(pieces, own)] or [out.reshape(-1)]
    for request in _travel(rows, pieces, communicator, 0, _fresh):
        request.wait()
    out.reshape(-1)[...] = rows[0]


class Exchange:
    """Sums over all pieces of one run of a long array after another, which travel while their ranks go on working.

    `rows` are the sums of the blocks of this rank (`tree.blocks`), flat, or one array of any content if it has none;
    the first becomes the sum over all pieces. What arrives is put into `empty` arrays. One exchange at a time.
    """

    def __init__(self, rows: Sequence[Array], pieces: int, communicator: Communicator, empty: Empty) -> None:
        self._rows = rows
        self._pieces = pieces
        self._communicator = communicator
        self._empty = empty
        self._tag = 0
        self._going: list[tuple[Request, Iterator[Request]]] = []

    def start(self, run: slice) -> None:
        """Let a run of `rows` go, which stays untouched until `wait` is over. Every rank starts the same runs."""
        self._tag += 2
        rows = [row[run] for row in self._rows]
        self._going += _next(_travel(rows, self._pieces, self._communicator, self._tag, self._empty))

    def poke(self) -> None:
        """Get on with all that need not wait."""
        going = []
        for request, journey in self._going:
            going += _next(journey) if request.done() else [(request, journey)]
        self._going = going

    def wait(self) -> None:
        """Until this rank has the sums of all that was started."""
        while self._going:
            going = []
            for request, journey in self._going:
                request.wait()
                going += _next(journey)
            self._going = going


def _travel(
    rows: Sequence[Array], pieces: int, communicator: Communicator, tag: int, empty: Empty
) -> Iterator[Request]:
    """The journey of the sums of blocks: each rank adds up its own slice of all, and hands it to the others.

    Gives what is to be waited for before it goes on. Takes two tags.
    """
    size, rank, length = communicator.size, communicator.rank, rows[0].size
    if size == 1:
        return
    slices = [slice(span.start, span.stop) for span in (piece(length, size, other) for other in range(size))]
    others, mine = [other for other in range(size) if other != rank], slices[rank]
    own = dict(zip(blocks(pieces, piece(pieces, size, rank)), rows, strict=False))
    coming = [(first, owner) for first, owner in owners(pieces, size) if owner != rank]
    landing = empty(f"landing {tag}", (len(coming), mine.stop - mine.start), rows[0].dtype)
    yield communicator.start_exchange(
        [(other, row[slices[other]]) for other in others for row in own.values()],
        [(owner, place) for (_, owner), place in zip(coming, landing, strict=True)],
        tag,
    )
    parts = {first: row[mine] for first, row in own.items()}
    parts |= {first: place for (first, _), place in zip(coming, landing, strict=True)}
    add_up(parts, upper_joins(pieces, size))
    rows[0][mine] = parts[0]
    yield communicator.start_exchange(
        [(other, rows[0][mine]) for other in others], [(other, rows[0][slices[other]]) for other in others], tag + 1
    )


def _next(journey: Iterator[Request]) -> list[tuple[Request, Iterator[Request]]]:
    """The next stop of a journey and the rest of it; nothing if it is over."""
    return [(request, journey) for request in islice(journey, 1)]


def _fresh(name: str, shape: tuple[int, ...], dtype: Any) -> Array:
    """An array that nobody had before."""
    return np.empty(shape, dtype=dtype)
