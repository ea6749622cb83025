"""The largest value of each window of an image, and the way back to where it stood."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels.dispatch import kernel

Array = NDArray[Any]


@kernel
def max_pool(x: Array, size: int, stride: int, y: Array, which: NDArray[np.uint8]) -> None:
    """y (n, h, w, c) is the largest value of each window of x, which[...] its number in the window, first of equals.

    NaN in a window is its largest value.
    """
    height, width = y.shape[1:3]
    for number in range(size * size):
        i, j = divmod(number, size)
        part = x[:, i : i + stride * height : stride, j : j + stride * width : stride][:, :height, :width]
        if number == 0:
            y[...], which[...] = part, 0
            continue
        larger = (part > y) | (np.isnan(part) & ~np.isnan(y))
        y[larger] = part[larger]
        which[larger] = number


@kernel
def max_pool_backward(dy: Array, which: NDArray[np.uint8], size: int, stride: int, dx: Array) -> None:
    """dx (n, h, w, c) is dy where the largest value of a window stood, added up where windows overlap, else 0."""
    dx[...] = 0
    height, width = dy.shape[1:3]
    for number in range(size * size):
        i, j = divmod(number, size)
        part = dx[:, i : i + stride * height : stride, j : j + stride * width : stride][:, :height, :width]
        part += np.where(which == number, dy, 0)
