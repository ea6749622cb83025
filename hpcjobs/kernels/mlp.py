"""A small network of dense layers, each but the last followed by layer normalisation and ReLU.

`units` (layers + 1,) int64: how many numbers it takes, the units of its hidden layers, how many numbers it gives.
`parameters` lie flat: of each layer weights (inputs, units), bias (units,) and, but of the last, scale and offset
(units,). Layer normalisation takes each row by its own mean and deviation (Ba, Kiros, Hinton, 2016).
"""

import itertools
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels.dispatch import kernel

Array = NDArray[Any]
Integers = NDArray[np.int64]
Trace = tuple[Array, Array, Array, Array]  # of a hidden layer: what it takes, normal, inverse, what it gives
EPSILON = 1e-5


@kernel
def values(parameters: Array, units: Integers, x: Array, out: Array) -> None:
    """Write what the network says of x (rows, inputs) to out (rows, outputs).

    Each row by itself, its sums in one order: its bits do not depend on the rows beside it.
    """
    out[...] = _forward(parameters, units, x)[0]


@kernel
def slope(
    parameters: Array, units: Integers, features: Array, action: NDArray[np.int32], target: Array, rows: Integers,
    gradient: Array,
) -> None:  # fmt: skip
    """Write the slope of half the squared error to gradient (parameters,), summed over some rows (n,).

    The error of a row is what the network says of the action (samples,) by the features (samples, inputs), less the
    target (samples,).
    """
    q, traces = _forward(parameters, units, features[rows])
    every = np.arange(len(rows))
    dy = np.zeros_like(q)
    dy[every, action[rows]] = q[every, action[rows]] - target[rows]
    slopes, layers = _layers(gradient, units), _layers(parameters, units)
    slopes[-1][0][...], slopes[-1][1][...] = (traces[-1][3] if traces else features[rows]).T @ dy, dy.sum(axis=0)
    for number in range(len(traces) - 1, -1, -1):
        x, normal, inverse, y = traces[number]
        dy = (dy @ layers[number + 1][0].T) * (y > 0)
        weights, bias, scale, offset = slopes[number]
        scale[...], offset[...] = (dy * normal).sum(axis=0), dy.sum(axis=0)
        dy *= layers[number][2]
        along = (dy * normal).mean(axis=1, keepdims=True)
        dy = (dy - dy.mean(axis=1, keepdims=True) - normal * along) * inverse
        weights[...], bias[...] = x.T @ dy, dy.sum(axis=0)


def _layers(buffer: Array, units: Integers) -> list[list[Array]]:
    """Weights, bias, and but of the last scale and offset, of every layer in a flat buffer."""
    found, begin = [], 0
    for number, (takes, gives) in enumerate(itertools.pairwise(units.tolist())):
        parts: list[Array] = []
        for shape in ((takes, gives), *((gives,) for _ in range(1 if number == len(units) - 2 else 3))):
            parts.append(buffer[begin : begin + prod(shape)].reshape(shape))
            begin += prod(shape)
        found.append(parts)
    return found


def _forward(parameters: Array, units: Integers, x: Array) -> tuple[Array, list[Trace]]:
    """What the network says of x (rows, inputs), with what the way back needs."""
    *hidden, last = _layers(parameters, units)
    traces = []
    for weights, bias, scale, offset in hidden:
        normal = _dense(x, weights, bias)
        normal -= normal.mean(axis=1, keepdims=True)
        inverse = 1 / np.sqrt((normal * normal).mean(axis=1, keepdims=True) + x.dtype.type(EPSILON))
        normal *= inverse
        y = np.maximum(normal * scale + offset, 0)
        traces.append((x, normal, inverse, y))
        x = y
    return _dense(x, *last), traces


def _dense(x: Array, weights: Array, bias: Array) -> Array:
    """bias + x @ weights, summed in order: BLAS takes another one for other numbers of rows."""
    found = np.repeat(bias[None, :], len(x), axis=0)
    for column, weight in zip(x.T, weights, strict=True):
        found += column[:, None] * weight
    return found
