"""Convolution and dense layers of one shard: forward and backward as matrix products on tiles of patches."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels import convolution as kernels
from hpcjobs.kernels import pooling
from hpcjobs.kernels.product import product
from hpcjobs.nn.blocks import Blocks
from hpcjobs.nn.declared import Conv
from hpcjobs.nn.room import Room

Array = NDArray[Any]
# Numbers in a tile of whole windows, and of lines that windows share: both fit a second-level cache. Tiles follow from
# the shape of a shard alone. The first are best for gradients of weights, where they are what is summed over.
TILE, SHARED = 2**17, 2**18
# From so many places in an image and so many numbers in one line of a window on, windows share their lines.
PLACES, LINE = 512, 64
# Rows of weights that all shards are multiplied with while these are in the cache.
ROWS = 256


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


@dataclass(frozen=True)
class Pool:
    """A max pool without overlap behind a convolution that gives (height, width), and which places it took."""

    size: int
    height: int
    width: int
    which: NDArray[np.uint8]


def conv_forward(
    x: Array,
    own: Mapping[str, Array],
    window: Window,
    y: Array,
    room: Room,
    floor: float = -np.inf,
    pool: Pool | None = None,
) -> None:
    """y = x * weights + bias, its ReLU where `floor` is 0, and the largest of each window of `pool`.

    Done tile by tile, while it is in the cache; the pool first, since bias and ReLU keep the order of numbers.
    """
    filters, weights = y.shape[3], own["weights"]
    bias = own.get("bias", np.zeros(filters, dtype=y.dtype))
    height, width, size = (pool.height, pool.width, pool.size) if pool else (*y.shape[1:3], 1)
    for images, lines, patches in _tiles(x, window, height, width, room, size, share=True):
        places = images, slice(lines.start // size, lines.stop // size)
        part = y[places]
        columns = part.reshape(-1, filters)
        if pool is None:
            _correlate(patches, weights, columns)
        elif part.size:
            wide = room.rows("wide", len(patches[0]), filters, y.dtype)
            _correlate(patches, weights, wide)
            pooling.max_pool(wide.reshape(len(part), -1, width, filters), size, size, part, pool.which[places])
        if "bias" in own or floor == 0:
            kernels.bias_relu(columns, bias, floor)


def conv_backward(
    x: Array,
    own: Mapping[str, Array],
    window: Window,
    dy: Array,
    slopes: Mapping[str, Array],
    dx: Array | None,
    room: Room,
    pool: Pool | None = None,
) -> None:
    """Write the gradient of weights and bias to `slopes`, and that of x to dx unless it is None."""
    filters = dy.shape[3]
    if "bias" in slopes:
        kernels.column_sums(dy.reshape(-1, filters), slopes["bias"])
    if pool is not None:
        wide = room.empty("unpooled", (len(dy), pool.height, pool.width, filters), dy.dtype)
        pooling.max_pool_backward(dy, pool.which, pool.size, pool.size, wide)
        dy = wide
    first = True
    for images, lines, patches in _tiles(x, window, dy.shape[1], dy.shape[2], room):
        part = dy[images, lines].reshape(-1, filters)
        for patch, matrix in zip(patches, slopes["weights"].reshape(len(patches), -1, filters), strict=True):
            product(patch, part, matrix, add=not first, flip_a=True)
        first = False
    if dx is None:
        return
    if window.stride > 1:  # as if dy had zeros between its places
        spread = (dy.shape[0], *((length - 1) * window.stride + 1 for length in dy.shape[1:3]), dy.shape[3])
        wide = room.zeros("spread", spread, dy.dtype)
        wide[:, :: window.stride, :: window.stride] = dy
        dy = wide
    turned = np.ascontiguousarray(own["weights"][::-1, ::-1].transpose(0, 1, 3, 2))  # (size, size, filters, c)
    back = Window(window.size, 1, window.size - 1 - window.top, window.size - 1 - window.left)
    for images, lines, patches in _tiles(dy, back, dx.shape[1], dx.shape[2], room, share=True):
        _correlate(patches, turned, dx[images, lines].reshape(-1, dx.shape[3]))


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


def _correlate(patches: Sequence[Array], weights: Array, out: Array) -> None:
    """out (places, filters) is the sum of the products of `patches` with their share of the weights."""
    for number, matrix in enumerate(weights.reshape(len(patches), -1, weights.shape[3])):
        product(patches[number], matrix, out, add=number > 0)


def _tiles(
    x: Array, window: Window, height: int, width: int, room: Room, step: int = 1, *, share: bool = False
) -> Iterator[tuple[slice, slice, list[Array]]]:
    """Images and lines of what a convolution gives, (n, height, width), a tile at a time, and the patches of x for it.

    One matrix (places, size * size * c) holds whole windows. If they may `share`, then in large images those that lie
    below one another have lines in common: `size` matrices (places, size * c) are one array, each shifted by one line.
    Tiles begin at a multiple of `step` lines.
    """
    size, channels = window.size, x.shape[3]
    if size == window.stride == 1 and x.shape[1:3] == (height, width):
        yield slice(0, len(x)), slice(0, height), [x.reshape(-1, channels)]
        return
    shared = share and size > 1 == window.stride and height * width >= PLACES and size * channels >= LINE
    tall, more = (1, size - 1) if shared else (size, 0)
    most = max(1, (SHARED if shared else TILE) // (tall * size * channels * width) - more)
    for images, lines in _spans(len(x), height, min(most, height) if shared else most, step):
        rows = (images.stop - images.start) * (lines.stop - lines.start) * width
        patches = room.rows("patches", rows + more * width, tall * size * channels, x.dtype)
        start = (images.start * (height + more) + lines.start) * width
        kernels.gather(
            x, tall, size, window.stride, window.top, window.left, width, height + more, start, patches
        )  # fmt: skip
        yield images, lines, [patches[line * width : line * width + rows] for line in range(more + 1)]


def _spans(images: int, height: int, most: int, step: int) -> list[tuple[slice, slice]]:
    """Cut (images, height) lines into runs of about `most`: whole images, or parts of one, all about as long."""
    if most >= 2 * height:
        each = most // height
        return [(slice(i, min(i + each, images)), slice(0, height)) for i in range(0, images, each)]
    lines = -(-height // -(-height // most))
    lines += -lines % step
    starts = range(0, height, lines)
    return [(slice(i, i + 1), slice(line, min(line + lines, height))) for i in range(images) for line in starts]
