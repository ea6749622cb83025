"""Where the arrays of a small dense network lie in its flat parameters, and how these begin; see kernels/mlp.py."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels import mlp as kernel
from hpcjobs.nn.network import Block, view
from hpcjobs.parallel.randomness import uniforms

Array = NDArray[Any]


@dataclass(frozen=True)
class Mlp:
    """Where each array lies in the flat buffer: of every layer weights, bias, and scale and offset but of the last."""

    units: NDArray[np.int64]
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
    return Mlp(np.array(units, dtype=np.int64), tuple(layers), start)


def first_parameters(net: Mlp, seed: int) -> Array:
    """Weights uniform with variance 1 / inputs, drawn from seed and layer alone; scales 1, the rest 0."""
    buffer = np.empty(net.size, dtype=np.float32)
    for number, layer in enumerate(net.layers):
        for block in layer:
            view(buffer, block)[...] = block.fill
        weights = layer[0]
        drawn = 2 * uniforms(seed, "first parameters of q", number, 0, prod(weights.shape)) - 1
        view(buffer, weights)[...] = (drawn * np.sqrt(3 / weights.shape[0])).reshape(weights.shape)
    return buffer


def values(net: Mlp, parameters: Array, x: Array) -> Array:
    """What the network says (rows, outputs) of x (rows, inputs), of each row by itself."""
    found = np.empty((len(x), net.units[-1]), dtype=parameters.dtype)
    kernel.values(parameters, net.units, x, found)
    return found
