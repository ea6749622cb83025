"""A network's gradient, ours and by finite differences along one random direction."""

from collections.abc import Sequence
from itertools import pairwise, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.nn.declared import Layer
from hpcjobs.nn.network import build, first_parameters, first_statistics
from hpcjobs.nn.passes import Batch, backward, forward

Array = NDArray[Any]


def slopes(
    layers: Sequence[Layer], shape: tuple[int, ...], rows: Sequence[int], frozen: frozenset[str] = frozenset()
) -> tuple[float, float, Array, Array]:
    """Ours and the difference quotient along a direction of the parameters, then both along one of the inputs.

    What is differentiated is the sum of the outputs times fixed random numbers; `rows` of each shard.
    """
    draw = np.random.default_rng(7)
    network = build(layers, shape)
    parameters = first_parameters(network, 1, "glorot", np.dtype(np.float64))
    parameters += 0.1 * draw.normal(size=parameters.shape)
    xs = [draw.normal(size=(count, *shape)) for count in rows]
    weights = [draw.normal(size=(count, *network.gives)) for count in rows]
    ends = np.cumsum([0, *rows])
    samples = [np.arange(a, b) for a, b in pairwise(ends)]

    def value(at: Array, inputs: Sequence[Array]) -> tuple[float, Any, Batch]:
        batch = Batch(True, int(ends[-1]), len(rows), samples, seed=3, step=5, frozen=frozen)
        ys, traces = forward(network.nodes, inputs, at, first_statistics(network), batch)
        return sum(float((y * w).sum()) for y, w in zip(ys, weights, strict=True)), traces, batch

    _, traces, batch = value(parameters, xs)
    gradients = [np.full(network.size, np.nan)]  # one block of shards
    dxs = backward(traces, [w.copy() for w in weights], parameters, gradients, batch, wanted=True)
    still = [block for node, block in network.parameters() if node.name in frozen]
    for block, gradient in product(still, gradients):
        gradient[block.start : block.stop] = 0  # it does not count what is written there
    direction, step = draw.normal(size=network.size), 1e-6
    for block in still:
        direction[block.start : block.stop] = 0
    along = [draw.normal(size=x.shape) for x in xs]
    ours = float(np.sum(gradients, axis=0) @ direction)
    ours_x = sum(float((dx * d).sum()) for dx, d in zip(dxs, along, strict=True))
    quotient = (value(parameters + step * direction, xs)[0] - value(parameters - step * direction, xs)[0]) / (2 * step)
    ahead, behind = ([x + sign * step * d for x, d in zip(xs, along, strict=True)] for sign in (1, -1))
    quotient_x = (value(parameters, ahead)[0] - value(parameters, behind)[0]) / (2 * step)
    return ours, quotient, np.array(ours_x), np.array(quotient_x)
