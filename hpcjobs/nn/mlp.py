"""A small network of dense layers, each but the last followed by layer normalisation and ReLU; parameters lie flat."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.nn.layernorm import normalise, normalise_backward
from hpcjobs.nn.network import Block, view
from hpcjobs.parallel.randomness import uniforms

Array = NDArray[Any]


@dataclass(frozen=True)
class Trace:
    """What a hidden layer has to remember for the way back; arrays (rows, units)."""

    x: Array
    normal: Array
    inverse: Array
    y: Array


@dataclass(frozen=True)
class Mlp:
    """Where each array lies in the flat buffer: of every layer weights, bias, and scale and offset but of the last."""

    layers: tuple[tuple[Block, ...], ...]
    size: int


def lay_out(units: Sequence[int]) -> Mlp:
    """The network that takes units[0] numbers and gives units[-1]."""
    layers, start = [], 0
    for number, (takes, gives) in enumerate(itertools.pairwise(units)):
        wanted: list[tuple[str, tuple[int, ...], float]] = [("weights", (takes, gives), 0.0), ("bias", (gives,), 0.0)]
        if number < len(units) - 2:
            wanted += [("scale", (gives,), 1.0), ("offset", (gives,), 0.0)]
        blocks = []
        for name, shape, fill in wanted:
            blocks.append(Block(f"dense_{number + 1}_{name}", shape, start, shape if name == "weights" else (), fill))
            start = blocks[-1].stop
        layers.append(tuple(blocks))
    return Mlp(tuple(layers), start)


def first_parameters(net: Mlp, seed: int, dtype: Any = np.float32) -> Array:
    """Weights uniform with variance 1 / inputs, drawn from seed and layer alone; scales 1, the rest 0."""
    buffer = np.empty(net.size, dtype=dtype)
    for number, layer in enumerate(net.layers):
        for block in layer:
            view(buffer, block)[...] = block.fill
        weights = layer[0]
        drawn = 2 * uniforms(seed, "first parameters of q", number, 0, prod(weights.shape)) - 1
        view(buffer, weights)[...] = (drawn * np.sqrt(3 / weights.shape[0])).reshape(weights.shape)
    return buffer


def forward(net: Mlp, parameters: Array, x: Array, traces: list[Trace] | None = None) -> Array:
    """What the network says (rows, outputs) of x (rows, inputs); fills `traces` for the way back."""
    for layer in net.layers[:-1]:
        weights, bias, scale, offset = (view(parameters, block) for block in layer)
        y, normal, inverse = normalise(x @ weights + bias, scale, offset)
        np.maximum(y, 0, out=y)
        if traces is not None:
            traces.append(Trace(x, normal, inverse, y))
        x = y
    weights, bias = (view(parameters, block) for block in net.layers[-1])
    found: Array = x @ weights + bias
    return found


def backward(net: Mlp, parameters: Array, x: Array, traces: Sequence[Trace], dy: Array, gradient: Array) -> None:
    """Write the slope of every parameter to `gradient` (size,), from those of the outputs dy (rows, outputs).

    `x` (rows, inputs) and `traces` are those of the way there.
    """
    weights, bias = (view(gradient, block) for block in net.layers[-1])
    np.matmul((traces[-1].y if traces else x).T, dy, out=weights)
    bias[...] = dy.sum(axis=0)
    dx = dy @ view(parameters, net.layers[-1][0]).T
    for number in range(len(traces) - 1, -1, -1):
        layer, trace = net.layers[number], traces[number]
        weights, bias, scale, offset = (view(gradient, block) for block in layer)
        dx *= trace.y > 0
        dx, scale[...], offset[...] = normalise_backward(dx, view(parameters, layer[2]), trace.normal, trace.inverse)
        np.matmul(trace.x.T, dx, out=weights)
        bias[...] = dx.sum(axis=0)
        if number:
            dx = dx @ view(parameters, layer[0]).T
