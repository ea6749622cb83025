"""The shards of one rank, whose gradients are added as soon as a layer has them: only sums of blocks are kept."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from hpcjobs.nn.room import Room
from hpcjobs.parallel import tree
from hpcjobs.parallel.shards import Span

Array = NDArray[Any]


@dataclass(frozen=True)
class Blocks:
    """The run of shards, of all `pieces` of a batch, that a rank owns."""

    pieces: int
    own: Span

    def count(self) -> int:
        """How many sums the tree takes of these shards without any other."""
        return len(tree.blocks(self.pieces, self.own))

    @contextmanager
    def adding(self, sums: Sequence[Array], room: Room) -> Iterator[list[Array]]:
        """An array for each shard to be written to, shaped like each of `sums`, which then hold those of the blocks.

        The first shard of a block writes to its sum at once. All contiguous.
        """
        places = dict(zip(tree.blocks(self.pieces, self.own), sums, strict=True))
        for shard in range(self.own.start, self.own.stop):
            if shard not in places:
                part = room.inside(shard).rows("part", sums[0].size, 1, sums[0].dtype)
                places[shard] = part.reshape(sums[0].shape)
        yield [places[shard] for shard in range(self.own.start, self.own.stop)]
        parts = {shard: part.reshape(-1) for shard, part in places.items()}
        tree.add_up(parts, tree.joins(self.pieces, self.own))
