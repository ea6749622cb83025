"""Convolutions with bias, ReLU and pool, their way back, and what other layers need of such."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels.dispatch import kernel
from hpcjobs.kernels.pooling import max_pool, max_pool_backward

Array = NDArray[Any]


@kernel
def forward(
    x: Array, weights: Array, bias: Array, floor: float, stride: int, top: int, left: int, pooled: bool, y: Array,
    which: NDArray[np.uint8],
) -> None:  # fmt: skip
    """y (n, h, w, filters) = max(x * weights + bias, floor), x (n, ., ., c) and weights (size, size, c, filters).

    Windows begin `top` above and `left` of the image, zero beyond its edges, and move by `stride`. With `pooled`, y
    holds the largest of each 2 x 2 of that, and `which` where it stood, as `max_pool` tells; else that is not used.
    """
    found = windows(x, len(weights), stride, top, left, y.shape, pooled)
    finish(np.tensordot(found, weights, 3), bias, floor, pooled, y, which)


@kernel
def backward(
    x: Array, weights: Array, stride: int, top: int, left: int, pooled: bool, dy: Array, which: NDArray[np.uint8],
    dx: Array, slopes: Array,
) -> None:  # fmt: skip
    """The gradients of weights, to `slopes`, and of x, to dx unless it has no rows, for that of y before its ReLU."""
    size, found = len(weights), windows(x, len(weights), stride, top, left, dy.shape, pooled)
    wide = before_pool(dy, which, pooled)
    slopes[...] = np.tensordot(found, wide, ((0, 1, 2), (0, 1, 2)))
    if len(dx):
        back = np.einsum("nhwf,ijcf->nhwijc", wide, weights)
        dx[...] = added_back(back, size, stride, top, left, dx.shape)


def windows(
    x: Array, size: int, stride: int, top: int, left: int, gives: tuple[int, ...], pooled: bool = False
) -> Array:
    """The windows (n, h, w, size, size, c) of images x (n, ., ., c), for as many places as are given."""
    height, width = (length * 2 if pooled else length for length in gives[1:3])
    below, right = (height - 1) * stride + size, (width - 1) * stride + size
    high, wide = x.shape[1:3]
    padded = np.zeros((len(x), max(below, top + high), max(right, left + wide), x.shape[3]), dtype=x.dtype)
    padded[:, top : top + high, left : left + wide] = x
    view = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))[:, ::stride, ::stride]
    return view[:, :height, :width].transpose(0, 1, 2, 4, 5, 3)


def added_back(found: Array, size: int, stride: int, top: int, left: int, shape: tuple[int, ...]) -> Array:
    """The adjoint of `windows`: images of this shape, each place the sum of what is found for it (n, h, w, ., ., c)."""
    height, width = found.shape[1:3]
    below, right = (height - 1) * stride + size, (width - 1) * stride + size
    total = np.zeros((len(found), max(below, top + shape[1]), max(right, left + shape[2]), shape[3]), dtype=found.dtype)
    for i in range(size):
        for j in range(size):
            total[:, i : i + stride * height : stride, j : j + stride * width : stride][:, :height, :width] += found[
                :, :, :, i, j
            ]
    return total[:, top : top + shape[1], left : left + shape[2]]


def finish(found: Array, bias: Array, floor: float, pooled: bool, y: Array, which: NDArray[np.uint8]) -> None:
    """Pool, bias and ReLU behind a convolution."""
    if pooled:
        max_pool.reference(found, 2, 2, y, which)
    else:
        y[...] = found
    bias_relu.reference(y.reshape(-1, y.shape[3]), bias, floor)


def before_pool(dy: Array, which: NDArray[np.uint8], pooled: bool) -> Array:
    """The gradient in front of the pool."""
    if not pooled:
        return dy
    wide = np.empty((len(dy), 2 * dy.shape[1], 2 * dy.shape[2], dy.shape[3]), dtype=dy.dtype)
    max_pool_backward.reference(dy, which, 2, 2, wide)
    return wide


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
