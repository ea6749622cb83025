"""Average pooling over windows and over whole images."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def average_forward(x: Array, size: int, y: Array) -> None:
    """y (n, h, w, c) is the mean of each window of x, which do not overlap; what does not fill a window is left out."""
    height, width = y.shape[1:3]
    y[...] = 0
    for i in range(size):
        for j in range(size):
            y += x[:, i : size * height : size, j : size * width : size]
    y /= size * size


def average_backward(dy: Array, size: int, dx: Array) -> None:
    """dx (n, h, w, c) is the share of each place in its window's dy, 0 outside of windows."""
    height, width = dy.shape[1:3]
    dx[...] = 0
    share = dy / (size * size)
    for i in range(size):
        for j in range(size):
            dx[:, i : size * height : size, j : size * width : size] = share


def global_forward(x: Array, y: Array) -> None:
    """y (n, c) is the mean of x (n, h, w, c) over its places."""
    y[...] = x.mean(axis=(1, 2), dtype=np.float64)


def global_backward(dy: Array, dx: Array) -> None:
    """dx (n, h, w, c) is an equal share of dy (n, c)."""
    dx[...] = (dy / (dx.shape[1] * dx.shape[2]))[:, None, None]
