"""Images cut into the patches that a convolution multiplies, and the bias and ReLU behind it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels.dispatch import kernel

Array = NDArray[Any]


@kernel
def gather(
    x: Array, tall: int, size: int, stride: int, top: int, left: int, width: int, height: int, start: int, out: Array
) -> None:
    """Patches of images x (n, h, w, c) as rows of out (rows, tall * size * c), zero beyond the edges.

    Row `start + r` of the (n, height, width) places is patch (i, y, x): it begins `top` above and `left` of
    (y * stride, x * stride).
    """
    images, high, wide, _ = x.shape
    below, right = (height - 1) * stride + tall, (width - 1) * stride + size
    padded = np.zeros((images, max(below, top + high), max(right, left + wide), x.shape[3]), dtype=x.dtype)
    padded[:, top : top + high, left : left + wide] = x
    view = np.lib.stride_tricks.sliding_window_view(padded, (tall, size), axis=(1, 2))[:, ::stride, ::stride]
    view = view[:, :height, :width].transpose(0, 1, 2, 4, 5, 3)  # (n, height, width, tall, size, c)
    out[...] = view.reshape(images * height * width, -1)[start : start + len(out)]


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
