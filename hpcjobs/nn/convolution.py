"""Convolution and dense layers, forward and backward, on the shards of a rank."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels import convolution as kernels
from hpcjobs.kernels import winograd
from hpcjobs.kernels.product import product
from hpcjobs.nn.blocks import Blocks
from hpcjobs.nn.declared import Conv
from hpcjobs.nn.room import Room

Array = NDArray[Any]
# From so many channels and filters on, few multiplications are worth more than what they need before and after them.
CHANNELS = 8
# Rows of weights that all shards are multiplied with while these are in the cache.
ROWS = 256
_NOWHERE = np.empty((0, 0, 0, 0), dtype=np.uint8)


@dataclass(frozen=True)
class Window:
    """How a window slides: its size, its step, and how far it begins before the image."""

    size: int
    stride: int
    top: int
    left: int


def window_of(layer: Conv, height: int, width: int) -> Window:
    """Padding `same` as Keras has it: the output is ceil(length / stride) long, an odd zero goes to the end."""
    if layer.padding == "valid":
        return Window(layer.size, layer.stride, 0, 0)
    top, left = (
        max((-(-length // layer.stride) - 1) * layer.stride + layer.size - length, 0) // 2 for length in (height, width)
    )
    return Window(layer.size, layer.stride, top, left)


def conv_forward(
    xs: Sequence[Array],
    own: Mapping[str, Array],
    window: Window,
    ys: Sequence[Array],
    room: Room,
    floor: float = -np.inf,
    pools: Sequence[NDArray[np.uint8]] | None = None,
) -> None:
    """Each y = x * weights + bias, its ReLU where `floor` is 0.

    With `pools`, y is the largest of each 2 x 2 of that, and these (n, h, w, filters) are where it stood.
    """
    weights, filters = own["weights"], own["weights"].shape[3]
    bias = own.get("bias", np.zeros(filters, dtype=weights.dtype))
    taps = _taps("taps", weights, window, room)
    for shard, (x, y) in enumerate(zip(xs, ys, strict=True)):
        pooled, which = pools is not None, _NOWHERE if pools is None else pools[shard]
        if taps is None:
            kernels.forward(x, weights, bias, floor, window.stride, window.top, window.left, pooled, y, which)
        else:
            winograd.forward(x, taps, bias, floor, window.top, window.left, pooled, y, which)


def conv_backward(
    xs: Sequence[Array],
    own: Mapping[str, Array],
    window: Window,
    dys: Sequence[Array],
    slopes: Sequence[Mapping[str, Array]],
    dxs: Sequence[Array] | None,
    room: Room,
    pools: Sequence[NDArray[np.uint8]] | None = None,
) -> None:
    """Write the gradients of weights and bias to `slopes`, and those of each x to `dxs` unless it is None."""
    weights = own["weights"]
    taps = _taps("turned", np.swapaxes(weights, 2, 3), window, room)
    for shard, (x, dy, slope) in enumerate(zip(xs, dys, slopes, strict=True)):
        if "bias" in slope:
            kernels.column_sums(dy.reshape(-1, dy.shape[3]), slope["bias"])
        pooled, which = pools is not None, _NOWHERE if pools is None else pools[shard]
        dx = x[:0] if dxs is None else dxs[shard]
        top, left, found = window.top, window.left, slope["weights"]
        if taps is None:
            kernels.backward(x, weights, window.stride, top, left, pooled, dy, which, dx, found)
        else:
            winograd.backward(x, taps, top, left, pooled, dy, which, dx, found)


def _taps(name: str, weights: Array, window: Window, room: Room) -> Array | None:
    """The weights for fewer multiplications, where that is possible and worth it, in the array of this name."""
    if window.size != 3 or window.stride != 1 or min(weights.shape[2:]) < CHANNELS:
        return None
    taps = room.empty(name, (winograd.SIDE**2, *weights.shape[2:]), weights.dtype)
    winograd.taps(np.ascontiguousarray(weights), taps)
    return taps


def dense_forward(xs: Sequence[Array], own: Mapping[str, Array], ys: Sequence[Array], floor: float = -np.inf) -> None:
    """Each y (n, units) = x (n, features) weights + bias, and its ReLU where `floor` is 0."""
    weights = own["weights"]
    for start in range(0, len(weights), ROWS):
        for x, y in zip(xs, ys, strict=True):
            product(x[:, start : start + ROWS], weights[start : start + ROWS], y, add=start > 0)
    for y in ys:
        if "bias" in own or floor == 0:
            kernels.bias_relu(y, own.get("bias", np.zeros(y.shape[1], dtype=y.dtype)), floor)


def dense_backward(
    xs: Sequence[Array], own: Mapping[str, Array], dys: Sequence[Array], sums: Sequence[Mapping[str, Array]],
    dxs: Sequence[Array] | None, blocks: Blocks, room: Room,
) -> None:  # fmt: skip
    """Write the gradients of weights and bias to `sums` of each block, and those of each x to `dxs` unless it is None.

    What shards give for some rows of weights is added while it is in the cache.
    """
    weights = own["weights"]
    if "bias" in own:
        with blocks.adding([one["bias"] for one in sums], room.inside("bias")) as parts:
            for dy, part in zip(dys, parts, strict=True):
                kernels.column_sums(dy, part)
    for start in range(0, len(weights), ROWS):
        run = slice(start, start + ROWS)
        with blocks.adding([one["weights"][run] for one in sums], room.inside("weights")) as parts:
            for x, dy, part in zip(xs, dys, parts, strict=True):
                product(x[:, run], dy, part, flip_a=True)
    if dxs is None:
        return
    for start in range(0, len(weights), ROWS):
        matrix = weights[start : start + ROWS]
        for dx, dy in zip(dxs, dys, strict=True):
            part = np.empty((len(dy), len(matrix)), dtype=dx.dtype)
            product(dy, matrix, part, flip_b=True)
            dx[:, start : start + ROWS] = part
