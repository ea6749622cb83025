"""Images cut into the patches that a convolution multiplies, and the bias and ReLU behind it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels.dispatch import kernel

Array = NDArray[Any]


@kernel
def gather(
    x: Array, size: int, stride: int, top: int, left: int, width: int, height: int, start: int, out: Array
) -> None:
    """Patches of images x (n, h, w, c) as rows of out (rows, size * size * c), zero beyond the edges.

    Row `start + r` of the (n, height, width) places is patch (i, y, x): it begins `top` above and `left` of
    (y * stride, x * stride).
    """
    images, high, wide, _ = x.shape
    below, right = (max(0, (length - 1) * stride + size) for length in (height, width))
    padded = np.zeros((images, max(below, top + high), max(right, left + wide), x.shape[3]), dtype=x.dtype)
    padded[:, top : top + high, left : left + wide] = x
    view = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))[:, ::stride, ::stride]
    view = view[:, :height, :width].transpose(0, 1, 2, 4, 5, 3)  # (n, height, width, size, size, c)
    out[...] = view.reshape(images * height * width, -1)[start : start + len(out)]


@kernel
def narrow(wide: Array, start: int, height: int, width: int, y: Array) -> None:
    """Put rows `start`, `start + 1`, ... of the (n, height, width) places into y (n, h, w, channels).

    wide (rows, channels) holds them; those beyond h or w, which y has no place for, are left out.
    """
    places = np.arange(start, start + len(wide))
    row, column = places // width % height, places % width
    kept = (row < y.shape[1]) & (column < y.shape[2])
    y[places[kept] // (height * width), row[kept], column[kept]] = wide[kept]


@kernel
def bias_relu(y: Array, bias: Array, floor: float) -> None:
    """y (rows, channels) becomes max(y + bias, floor) in place; `floor` is 0, or -inf for no ReLU."""
    y += bias
    y[y < floor] = floor  # NaN stays


@kernel
def relu_backward(y: Array, dy: Array) -> None:
    """dy (rows, channels) becomes 0 in place where the output y of the ReLU is not positive."""
    dy[~(y > 0)] = 0


@kernel
def column_sums(dy: Array, out: Array) -> None:
    """out (channels,) is the sum over the rows of dy (rows, channels), in row order, in float64."""
    total = np.zeros(dy.shape[1])
    for row in dy:
        total += row
    out[...] = total


@kernel
def moments(x: Array, out: Array) -> None:
    """out (2, channels) is the sum of x (rows, channels) and of its square, in row order, in float64."""
    out[...] = 0.0
    for row in x.astype(np.float64, copy=False):
        out[0] += row
        out[1] += row * row
