"""Convolution and dense layers of one shard: forward and backward as matrix products on tiles of patches."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels import convolution as kernels
from hpcjobs.kernels.product import product
from hpcjobs.nn.declared import Conv
from hpcjobs.nn.room import Room

Array = NDArray[Any]
# Rows of a tile where the image itself is multiplied, shifted by each place of the window.
ROWS = 4096
# Numbers in a tile of patches: few enough for a second-level cache. Tiles follow from the shape of a shard alone.
TILE = 2**18


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


def correlate(x: Array, weights: Array, window: Window, y: Array, room: Room) -> None:
    """y (n, h', w', filters) is the correlation of x (n, h, w, c) with weights (size, size, c, filters)."""
    if window.size > 1 and window.stride == 1:
        _shifted(_padded(x, window, y.shape, room), weights, y, room)
        return
    columns, filters = y.reshape(-1, y.shape[3]), weights.shape[3]
    matrix = weights.reshape(-1, filters)  # (size * size * c, filters)
    for start, patches in _tiles(x, window, y.shape, room):
        product(patches, matrix, columns[start : start + len(patches)])


def _shifted(x: Array, weights: Array, y: Array, room: Room) -> None:
    """The same without padding: the sum over the window of the image's own rows, each shifted to its place.

    The last columns and rows of each image give sums across its edge, which are left out. No patch is copied.
    """
    _, height, width, channels = x.shape
    size, lines = weights.shape[0], x.reshape(-1, channels)
    rows = len(lines) - (size - 1) * (width + 1)
    wide = room.empty("wide", (min(ROWS, rows), y.shape[3]), y.dtype)
    for start in range(0, rows, ROWS):
        part = wide[: min(ROWS, rows - start)]
        for place in range(size * size):
            i, j = divmod(place, size)
            first = start + i * width + j
            product(lines[first : first + len(part)], weights[i, j], part, add=place > 0)
        kernels.narrow(part, start, height, width, y)


def _padded(x: Array, window: Window, gives: tuple[int, ...], room: Room) -> Array:
    """Images with as many zeros around them as a window needs that slides by single steps."""
    high, wide = (length + window.size - 1 for length in gives[1:3])
    if (high, wide) == x.shape[1:3]:
        return x
    padded = room.zeros("padded", (len(x), high, wide, x.shape[3]), x.dtype)
    padded[:, window.top : window.top + x.shape[1], window.left : window.left + x.shape[2]] = x[
        :, : high - window.top, : wide - window.left
    ]
    return padded


def conv_forward(
    x: Array, own: Mapping[str, Array], window: Window, y: Array, room: Room, floor: float = -np.inf
) -> None:
    """y = x * weights + bias, and its ReLU where `floor` is 0."""
    correlate(x, own["weights"], window, y, room)
    columns = y.reshape(-1, y.shape[3])
    if "bias" in own or floor == 0:
        kernels.bias_relu(columns, own.get("bias", np.zeros(y.shape[3], dtype=y.dtype)), floor)


def conv_backward(
    x: Array,
    own: Mapping[str, Array],
    window: Window,
    dy: Array,
    slopes: Mapping[str, Array],
    dx: Array | None,
    room: Room,
) -> None:
    """Write the gradient of weights and bias to `slopes`, and that of x to dx unless it is None."""
    columns = dy.reshape(-1, dy.shape[3])
    if "bias" in slopes:
        kernels.column_sums(columns, slopes["bias"])
    matrix = slopes["weights"].reshape(-1, dy.shape[3])
    for start, patches in _tiles(x, window, dy.shape, room):
        product(patches, columns[start : start + len(patches)], matrix, add=start > 0, flip_a=True)
    if dx is None:
        return
    if window.stride > 1:  # as if dy had zeros between its places
        spread = (dy.shape[0], *((length - 1) * window.stride + 1 for length in dy.shape[1:3]), dy.shape[3])
        wide = room.zeros("spread", spread, dy.dtype)
        wide[:, :: window.stride, :: window.stride] = dy
        dy = wide
    turned = np.ascontiguousarray(own["weights"][::-1, ::-1].transpose(0, 1, 3, 2))  # (size, size, filters, c)
    back = Window(window.size, 1, window.size - 1 - window.top, window.size - 1 - window.left)
    correlate(dy, turned, back, dx, room)


def dense_forward(x: Array, own: Mapping[str, Array], y: Array, floor: float = -np.inf) -> None:
    """y (n, units) = x (n, features) weights + bias, and its ReLU where `floor` is 0."""
    product(x, own["weights"], y)
    if "bias" in own or floor == 0:
        kernels.bias_relu(y, own.get("bias", np.zeros(y.shape[1], dtype=y.dtype)), floor)


def dense_backward(
    x: Array, own: Mapping[str, Array], dy: Array, slopes: Mapping[str, Array], dx: Array | None
) -> None:
    """Write the gradient of weights and bias to `slopes`, and that of x to dx unless it is None."""
    if "bias" in slopes:
        kernels.column_sums(dy, slopes["bias"])
    product(x, dy, slopes["weights"], flip_a=True)
    if dx is not None:
        product(dy, own["weights"], dx, flip_b=True)


def _tiles(x: Array, window: Window, gives: tuple[int, ...], room: Room) -> Any:
    """The patches of x, some rows (tile, size * size * c) at a time, each with the number of its first row."""
    rows, length = gives[0] * gives[1] * gives[2], window.size**2 * x.shape[3]
    if window.size == window.stride == 1 and x.shape[:3] == gives[:3]:
        yield 0, x.reshape(rows, length)
        return
    tile = min(rows, max(64, min(4096, TILE // length)))
    patches = room.empty("patches", (tile, length), x.dtype)
    for start in range(0, rows, tile):
        part = patches[: min(tile, rows - start)]
        kernels.gather(x, window.size, window.stride, window.top, window.left, gives[2], gives[1], start, part)
        yield start, part
