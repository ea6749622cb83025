"""Forward and backward through a network, layer by layer, on all shards of a rank at once.

Shards go side by side, so that batch normalisation can look at the whole global batch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels import pooling as pooling_kernels
from hpcjobs.nn import convolution, declared, normalisation, pointwise, pooling
from hpcjobs.nn.blocks import Blocks
from hpcjobs.nn.network import Node, views
from hpcjobs.nn.room import Room
from hpcjobs.nn.transfer import learns
from hpcjobs.parallel.communicator import Communicator, SerialCommunicator
from hpcjobs.parallel.reduction import tree_sum
from hpcjobs.parallel.shards import piece

Array = NDArray[Any]
ACTIVATIONS = (declared.Relu, declared.Leaky, declared.Sigmoid, declared.Tanh)


@dataclass(frozen=True)
class Batch:
    """What layers may ask of a step: `samples` are the global numbers of the rows of each shard of this rank.

    `rows` counts those of all shards, `pieces` the shards.
    """

    training: bool
    rows: int
    pieces: int = 1
    samples: Sequence[NDArray[np.int64]] = ()
    seed: int = 0
    step: int = 0
    communicator: Communicator = field(default_factory=SerialCommunicator)
    room: Room = field(default_factory=Room)
    frozen: frozenset[str] = frozenset()  # names of layers that are not trained
    timed: Callable[[], AbstractContextManager[None]] = nullcontext  # around what sums over ranks take from the work

    @property
    def blocks(self) -> Blocks:
        """The shards of this rank."""
        return Blocks(self.pieces, piece(self.pieces, self.communicator.size, self.communicator.rank))

    def total(self, parts: Sequence[Array], out: Array) -> None:
        """The sum over all shards, on every rank."""
        with self.timed():
            tree_sum(parts, self.pieces, out, self.communicator)


@dataclass(frozen=True)
class Trace:
    """What one layer keeps for its backward pass: inputs and outputs of each shard, and more as it needs."""

    node: Node
    xs: Sequence[Array]
    ys: Sequence[Array]
    kept: Any = None


def forward(
    nodes: Sequence[Node], xs: Sequence[Array], parameters: Array, statistics: Array, batch: Batch
) -> tuple[Sequence[Array], list[Trace]]:
    """The outputs of each shard and the trace; in training the running `statistics` move on. Collective."""
    traces: list[Trace] = []
    done = 0  # layers that one before has seen to
    for number, node in enumerate(nodes):
        own, running = views(parameters, node.parameters), views(statistics, node.statistics)
        room = batch.room.inside(node.name)
        kept: Any = None
        if number < done:
            ys = xs
        elif isinstance(node.layer, declared.Flatten):
            ys = [x.reshape(len(x), -1) for x in xs]
        elif isinstance(node.layer, declared.Dropout) and not batch.training:
            ys = xs
        elif isinstance(node.layer, declared.Residual):
            ys, kept = _branches(node, xs, parameters, statistics, batch)
        else:
            floor, pooled, done = _behind(nodes, number)
            gives = nodes[done - 1].gives
            ys = [room.inside(shard).empty("y", (len(x), *gives), x.dtype) for shard, x in enumerate(xs)]
            if isinstance(node.layer, declared.BatchNorm) and batch.training and node.name not in batch.frozen:
                count = batch.rows * normalisation.places(node.takes)
                kept = normalisation.normalise(node.layer, xs, ys, own, running, count, batch.total)
            elif isinstance(node.layer, declared.Dense):
                convolution.dense_forward(xs, own, ys, floor)
            elif isinstance(node.layer, declared.Conv):
                if pooled:
                    kept = [room.inside(shard).empty("which", y.shape, np.uint8) for shard, y in enumerate(ys)]
                window = convolution.window_of(node.layer, *node.takes[:2])
                convolution.conv_forward(xs, own, window, ys, room, floor, kept)
            else:
                kept = [
                    _one(node, shard, x, y, own, running, batch, room)
                    for shard, (x, y) in enumerate(zip(xs, ys, strict=True))
                ]
        traces.append(Trace(node, xs, ys, kept))
        xs = ys
    return xs, traces


def backward(
    traces: Sequence[Trace], dys: Sequence[Array], parameters: Array, gradients: Sequence[Array], batch: Batch,
    *, wanted: bool = False, done: Callable[[Node], None] = lambda node: None,
) -> Sequence[Array]:  # fmt: skip
    """Write the gradient of each block of shards to `gradients` (parameters,) of it; `dys` are used up. Collective.

    Tells which layer is `done`. Returns the gradients of the inputs if they are `wanted`: nothing before the first
    layer that is trained asks for them. What is written for layers that are not trained means nothing.
    """
    first = 0 if wanted else next((i for i, one in enumerate(traces) if learns(one.node, batch.frozen)), len(traces))
    for number in range(len(traces) - 1, first - 1, -1):
        trace = traces[number]
        node, own = trace.node, views(parameters, trace.node.parameters)
        room = batch.room.inside(node.name)
        needed = wanted or number > first
        if isinstance(node.layer, declared.Flatten):
            dys = [dy.reshape(x.shape) for dy, x in zip(dys, trace.xs, strict=True)]
        elif isinstance(node.layer, declared.MaxPool) and trace.kept is None:
            continue  # the convolution before sees to it
        elif isinstance(node.layer, declared.Dense):
            dxs = [room.inside(shard).empty("dx", x.shape, x.dtype) for shard, x in enumerate(trace.xs)]
            sums = [views(gradient, node.parameters) for gradient in gradients]
            convolution.dense_backward(trace.xs, own, dys, sums, dxs if needed else None, batch.blocks, room)
            dys = dxs
        elif isinstance(node.layer, declared.Conv):
            dxs = [room.inside(shard).empty("dx", x.shape, x.dtype) for shard, x in enumerate(trace.xs)]
            window = convolution.window_of(node.layer, *node.takes[:2])
            with _adding(node, gradients, batch) as slopes:
                convolution.conv_backward(trace.xs, own, window, dys, slopes, dxs if needed else None, room, trace.kept)
            dys = dxs
        elif isinstance(node.layer, declared.Residual):
            dys = _branches_backward(trace, dys, parameters, gradients, batch, done)
        elif isinstance(node.layer, declared.BatchNorm) and node.name in batch.frozen:
            for dy, inverse in zip(dys, trace.kept, strict=True):
                dy *= (own["scale"] * inverse).astype(dy.dtype)
        elif isinstance(node.layer, declared.BatchNorm):
            count = batch.rows * normalisation.places(node.takes)
            with _adding(node, gradients, batch) as slopes:
                normalisation.normalise_backward(trace.xs, dys, own, slopes, trace.kept, count, batch.total)
        else:
            dys = [_one_backward(trace, shard, dy, room) for shard, dy in enumerate(dys)]
        done(node)
    return dys


@contextmanager
def _adding(node: Node, gradients: Sequence[Array], batch: Batch) -> Iterator[list[Mapping[str, Array]]]:
    """Where each shard writes its gradient of one layer, by name; it is then added to that of its block."""
    start, stop = (node.parameters[0].start, node.parameters[-1].stop) if node.parameters else (0, 0)
    places = [replace(block, start=block.start - start) for block in node.parameters]
    sums = [gradient[start:stop] for gradient in gradients]
    with batch.blocks.adding(sums, batch.room.inside(node.name)) as parts:
        yield [views(part, places) for part in parts]


def _behind(nodes: Sequence[Node], number: int) -> tuple[float, bool, int]:
    """What a layer with weights sees to at once: the floor of the ReLU behind it, -inf for none, and a pool of 2 x 2.

    And the number of the first layer that is left.
    """
    floor, pooled, done = -np.inf, False, number + 1
    if not isinstance(nodes[number].layer, declared.Conv | declared.Dense):
        return floor, pooled, done
    if done < len(nodes) and isinstance(nodes[done].layer, declared.Relu):
        floor, done = 0.0, done + 1
    if isinstance(nodes[number].layer, declared.Conv) and done < len(nodes):
        layer = nodes[done].layer
        if isinstance(layer, declared.MaxPool) and layer.size == 2 and layer.stride in (0, 2):
            pooled, done = True, done + 1
    return floor, pooled, done


def _one(
    node: Node, shard: int, x: Array, y: Array, own: Mapping[str, Array], running: Mapping[str, Array],
    batch: Batch, room: Room,
) -> Any:  # fmt: skip
    """One layer of one shard; what its backward pass needs beyond x and y."""
    match node.layer:
        case declared.MaxPool():
            which = room.inside(shard).empty("which", y.shape, np.uint8)
            pooling_kernels.max_pool(x, node.layer.size, node.layer.stride or node.layer.size, y, which)
            return which
        case declared.AveragePool():
            pooling.average_forward(x, node.layer.size, y)
        case declared.GlobalPool():
            pooling.global_forward(x, y)
        case declared.BatchNorm():
            return normalisation.frozen(node.layer, x, y, own, running)
        case declared.Dropout():
            mask = pointwise.dropout_mask(node.layer.rate, batch.seed, node.name, batch.step, batch.samples[shard], x)
            np.multiply(x, mask, out=y)
            return mask
        case _:
            pointwise.activate(node.layer, x, y)
    return None


def _one_backward(trace: Trace, shard: int, dy: Array, room: Room) -> Array:
    """The gradient of the input of one layer without weights, on one shard."""
    node, x, y = trace.node, trace.xs[shard], trace.ys[shard]
    if isinstance(node.layer, ACTIVATIONS):
        pointwise.activate_backward(node.layer, y, dy)
        return dy
    if isinstance(node.layer, declared.Dropout):
        dy *= trace.kept[shard]
        return dy
    dx = room.inside(shard).empty("dx", x.shape, x.dtype)
    match node.layer:
        case declared.MaxPool():
            stride = node.layer.stride or node.layer.size
            pooling_kernels.max_pool_backward(dy, trace.kept[shard], node.layer.size, stride, dx)
        case declared.AveragePool():
            pooling.average_backward(dy, node.layer.size, dx)
        case declared.GlobalPool():
            pooling.global_backward(dy, dx)
    return dx


def _branches(
    node: Node, xs: Sequence[Array], parameters: Array, statistics: Array, batch: Batch
) -> tuple[list[Array], tuple[list[Trace], list[Trace]]]:
    """The sum of both branches."""
    bodies, body = forward(node.body, xs, parameters, statistics, batch)
    shortcuts, shortcut = forward(node.shortcut, xs, parameters, statistics, batch)
    room = batch.room.inside(node.name)
    ys = []
    for shard, (one, other) in enumerate(zip(bodies, shortcuts, strict=True)):
        y = room.inside(shard).empty("y", one.shape, one.dtype)
        np.add(one, other, out=y)
        ys.append(y)
    return ys, (body, shortcut)


def _branches_backward(
    trace: Trace, dys: Sequence[Array], parameters: Array, gradients: Sequence[Array], batch: Batch,
    done: Callable[[Node], None],
) -> list[Array]:  # fmt: skip
    """What comes back through both branches, added up; each uses up a dy of its own."""
    room = batch.room.inside(trace.node.name)
    copies = []
    for shard, dy in enumerate(dys):
        copy = room.inside(shard).empty("copy", dy.shape, dy.dtype)
        copy[...] = dy
        copies.append(copy)
    body, shortcut = trace.kept
    ones = backward(body, dys, parameters, gradients, batch, wanted=True, done=done)
    others = backward(shortcut, copies, parameters, gradients, batch, wanted=True, done=done)
    return [np.add(one, other, out=one) for one, other in zip(ones, others, strict=True)]
