"""One step of training on a global batch that lies in shards over the ranks, and what a network says of images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.nn.gradients import Gradients
from hpcjobs.nn.losses import loss_of, probabilities, shares_of
from hpcjobs.nn.network import Network
from hpcjobs.nn.optimiser import Optimiser, update
from hpcjobs.nn.passes import Batch, Trace, backward, forward
from hpcjobs.nn.room import Room
from hpcjobs.nn.transfer import trained_parts

Array = NDArray[Any]
Floats = NDArray[np.float64]
# Numbers in all layers of the images that a network looks at together.
TOGETHER = 2**24
Shard = tuple[Array, Array, NDArray[np.int64]]  # x (rows, h, w, c), y (rows,) or shares, global row numbers (rows,)


@dataclass(frozen=True)
class Goal:
    """What is to become small: the kind of loss, label smoothing, and the weight of each class (none: all 1)."""

    kind: str
    smoothing: float = 0.0
    weights: tuple[float, ...] = ()


@dataclass(frozen=True)
class Learner:
    """What changes while a network learns: flat arrays, equal on all ranks, changed in place."""

    parameters: Array
    statistics: Floats
    moments: Mapping[str, Array]


@dataclass(frozen=True)
class Step:
    """Mean loss and share of right classes of a global batch; `bad` names where numbers were no longer finite."""

    loss: float
    accuracy: float
    bad: str = ""


def train_step(
    network: Network, learner: Learner, optimiser: Optimiser, goal: Goal, shards: Sequence[Shard], batch: Batch,
    rate: float,
) -> Step:  # fmt: skip
    """Forward, backward, the sum over all shards in the fixed tree, one update. Collective.

    The loss of the batch is the sum over its rows, weighted by class, divided once by their number.
    """
    xs = [x for x, _, _ in shards]
    outputs, traces = forward(network.nodes, xs, learner.parameters, learner.statistics, batch)
    dys, told = [], []
    for shard, (z, (_, targets, _)) in enumerate(zip(outputs, shards, strict=True)):
        losses, slopes = weighted(goal, z, targets)
        dy = batch.room.inside("loss").inside(shard).empty("dy", z.shape, z.dtype)
        dy[...] = slopes / batch.rows
        dys.append(dy)
        told.append(np.array([losses.sum(), float(right(goal, z, targets).sum())]))
    sums = np.zeros(2)
    batch.total(told, sums)
    loss, accuracy = (float(number) / batch.rows for number in sums)
    if not np.isfinite(loss):
        return Step(loss, accuracy, _where(network, traces, batch))
    gradients = Gradients(network, batch, learner.parameters.dtype)
    backward(traces, dys, learner.parameters, gradients.blocks, batch, done=gradients.done)
    parts = trained_parts(network, batch.frozen)
    moments, step = dict(learner.moments), batch.step + 1
    if not update(optimiser, learner.parameters, gradients.total(), moments, step, rate, parts):
        wrong = next(
            node.name
            for node, block in network.parameters()
            if not np.isfinite(learner.parameters[block.start : block.stop]).all()
        )
        return Step(loss, accuracy, f"layer {wrong}, in its new parameters")
    return Step(loss, accuracy)


def weighted(goal: Goal, outputs: Array, targets: Array) -> tuple[Floats, Floats]:
    """Loss (n,) and slopes (n, outputs) of rows, times the weight of their classes, by their shares."""
    losses, slopes = loss_of(goal.kind, outputs, targets, goal.smoothing)
    if goal.weights:
        heavy = shares_of(targets, len(goal.weights)) @ np.array(goal.weights)
        losses, slopes = losses * heavy, slopes * heavy[:, None]
    return losses, slopes


def right(goal: Goal, outputs: Array, targets: Array) -> NDArray[np.bool_]:
    """Which rows (n,) are put into their class, or the one of the largest share; of numbers none is right or wrong."""
    if goal.kind == "mse":
        return np.zeros(len(targets), dtype=bool)
    shares = probabilities(goal.kind, outputs)
    found: NDArray[np.bool_] = shares.argmax(axis=1) == shares_of(targets, shares.shape[1]).argmax(axis=1)
    return found


def outputs_of(network: Network, parameters: Array, statistics: Floats, images: Array, room: Room) -> Array:
    """What the last layer says (n, outputs) of images (n, h, w, c), by the running statistics.

    Each image is a shard of its own: the bits of a row do not depend on the rows beside it.
    """
    batch = Batch(training=False, rows=1, room=room)
    found = np.empty((len(images), *network.gives), dtype=parameters.dtype)
    numbers = sum(prod(node.gives) for node in network.every())
    some = min(max(1, TOGETHER // numbers), len(images) or 1)
    for first in range(0, len(images), some):
        shards = [images[number : number + 1] for number in range(first, min(first + some, len(images)))]
        ys, _ = forward(network.nodes, shards, parameters, statistics, batch)
        np.concatenate(ys, out=found[first : first + some])
    return found


def _where(network: Network, traces: Sequence[Trace], batch: Batch) -> str:
    """The first layer, on any rank, whose outputs are not finite; the input itself before all. Collective."""
    most = len(traces) + 1
    places = [
        number
        for number, arrays in enumerate([traces[0].xs, *(trace.ys for trace in traces)])
        if not all(np.isfinite(array).all() for array in arrays)
    ]
    first = np.array([most - min(places, default=most)], dtype=np.int64)
    batch.communicator.allreduce_max(first)
    place = most - int(first[0])
    if place == 0:
        return "the images"
    return f"layer {traces[place - 1].node.name}" if place < most else "the loss"
