"""Numba twins of the kernels of pooling."""

import numpy as np
from numba import njit


@njit(cache=True, error_model="numpy")
def max_pool(x, size, stride, y, which):  # type: ignore[no-untyped-def]
    images, height, width, channels = y.shape
    for n in range(images):
        for row in range(height):
            for column in range(width):
                best, number = y[n, row, column], which[n, row, column]
                best[:] = x[n, row * stride, column * stride]
                number[:] = 0
                for i in range(size):
                    for j in range(size):
                        part = x[n, row * stride + i, column * stride + j]
                        here = np.uint8(i * size + j)
                        for c in range(channels):
                            # written as selections, so that channels become lanes
                            larger = (part[c] > best[c]) | ((part[c] != part[c]) & (best[c] == best[c]))
                            number[c] = here if larger else number[c]
                            best[c] = part[c] if larger else best[c]


@njit(cache=True, error_model="numpy")
def max_pool_backward(dy, which, size, stride, dx):  # type: ignore[no-untyped-def]
    images, height, width, channels = dy.shape
    dx[...] = 0
    # Windows number by number, as the definition adds: overlapping ones would else be added in another order.
    if stride >= size:
        for n in range(images):
            for row in range(height):
                for column in range(width):
                    for i in range(size):
                        for j in range(size):
                            here = np.uint8(i * size + j)
                            for c in range(channels):
                                value = dy[n, row, column, c] if which[n, row, column, c] == here else dy.dtype.type(0)
                                dx[n, row * stride + i, column * stride + j, c] = value
        return
    for number in range(size * size):
        i, j = number // size, number % size
        for n in range(images):
            for row in range(height):
                for column in range(width):
                    for c in range(channels):
                        if which[n, row, column, c] == number:
                            dx[n, row * stride + i, column * stride + j, c] += dy[n, row, column, c]
