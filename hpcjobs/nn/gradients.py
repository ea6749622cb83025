"""The gradient of a global batch, which travels between the ranks while its backward pass goes on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.nn.blocks import Blocks
from hpcjobs.nn.network import Network, Node
from hpcjobs.nn.passes import Batch
from hpcjobs.parallel.reduction import Exchange
from hpcjobs.parallel.shards import piece

Array = NDArray[Any]
# Bytes from which on layers travel: smaller messages cost more time to begin than to arrive.
LEAST = 2**19


@dataclass(frozen=True)
class Bucket:
    """Layers next to each other whose gradients travel together: a run of the flat gradient."""

    run: slice
    layers: frozenset[str]


def buckets(network: Network, frozen: frozenset[str], least: int) -> list[Bucket]:
    """All layers that are trained, from the last to the first, in runs of `least` numbers or more where that goes on.

    They follow from the network alone.
    """
    found: list[Bucket] = []
    for node, block in reversed(network.parameters()):
        if node.name in frozen:
            continue
        last = found[-1] if found else None
        same = last is not None and node.name in last.layers
        if last is not None and last.run.start == block.stop and (same or last.run.stop - last.run.start < least):
            found[-1] = Bucket(slice(block.start, last.run.stop), last.layers | {node.name})
        else:
            found.append(Bucket(slice(block.start, block.stop), frozenset({node.name})))
    return found


def gradient_rows(shards: int, ranks: int) -> int:
    """How many arrays as long as the parameters a gradient takes on a rank, with what it receives for its slice."""
    counts = [Blocks(shards, piece(shards, ranks, rank)).count() for rank in range(ranks)]
    return max(max(1, count) + -(-(sum(counts) - count) // ranks) for count in counts)


class Gradients:
    """Where layers write their gradients: `blocks`, (parameters,) for each block of shards of this rank."""

    def __init__(self, network: Network, batch: Batch, dtype: np.dtype[Any]) -> None:
        count = batch.blocks.count()
        self._rows: list[Array] = list(batch.room.empty("gradients", (max(1, count), network.size), dtype))
        self.blocks = self._rows[:count]
        self._batch = batch
        self._still = [block for node, block in network.parameters() if node.name in batch.frozen]
        self._left = buckets(network, batch.frozen, LEAST // dtype.itemsize)
        self._done: set[str] = set()
        self._exchange = Exchange(self._rows, batch.pieces, batch.communicator, batch.room.inside("exchange").empty)

    def done(self, node: Node) -> None:
        """A layer is done, in the same order on every rank: let go what is whole."""
        self._done.add(node.name)
        with self._batch.timed():
            for bucket in [one for one in self._left if one.layers <= self._done]:
                self._exchange.start(bucket.run)
                self._left.remove(bucket)
            self._exchange.poke()

    def total(self) -> Array:
        """The gradient (parameters,) of the whole batch, on every rank; 0 for layers that are not trained."""
        with self._batch.timed():
            self._exchange.wait()
        for block in self._still:
            self._rows[0][block.start : block.stop] = 0
        return self._rows[0]
