"""Layers that work on each number by itself: activations and dropout."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels import convolution as kernels
from hpcjobs.nn import declared
from hpcjobs.nn.declared import Layer
from hpcjobs.parallel.randomness import words

Array = NDArray[Any]


def activate(layer: Layer, x: Array, y: Array) -> None:
    """y = f(x), both of any one shape."""
    match layer:
        case declared.Relu():
            np.maximum(x, 0, out=y)
        case declared.Leaky():
            np.multiply(x, np.where(x > 0, 1, layer.slope).astype(x.dtype), out=y)
        case declared.Sigmoid():
            y[...] = sigmoid(x)
        case declared.Tanh():
            np.tanh(x, out=y)


def activate_backward(layer: Layer, y: Array, dy: Array) -> None:
    """dy becomes dx in place, by the output y: the sign of a leaky ReLU's output is that of its input."""
    match layer:
        case declared.Relu():
            kernels.relu_backward(y.reshape(-1, y.shape[-1]), dy.reshape(-1, y.shape[-1]))
        case declared.Leaky():
            dy *= np.where(y > 0, 1, layer.slope).astype(dy.dtype)
        case declared.Sigmoid():
            dy *= y * (1 - y)
        case declared.Tanh():
            dy *= 1 - y * y


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x), without overflow."""
    small = np.exp(-np.abs(x))
    found: Array = np.where(x >= 0, 1, small) / (1 + small)
    return found


def dropout_mask(rate: float, seed: int, name: str, step: int, samples: NDArray[np.int64], like: Array) -> Array:
    """What x (n, ...) is multiplied by: 0 with probability `rate`, else 1 / (1 - rate).

    Drawn for each sample from seed, layer, step and the sample's global number.
    """
    mask = np.empty_like(like)
    for number, sample in enumerate(samples):
        drawn = words(seed, f"dropout {name}", 0, mask[number].size, (step << 64) | int(sample))
        kept = (drawn >> np.uint64(11)).astype(np.float64) * 2.0**-53 >= rate
        mask[number] = (kept / (1 - rate)).reshape(mask[number].shape)
    return mask
