"""Numba twins of the kernels of pooling."""

import numpy as np
from numba import njit


@njit(cache=True, error_model="numpy")
def max_pool(x, size, stride, y, which):  # type: ignore[no-untyped-def]
    images, height, width, channels = y.shape
    if size == 2:
        _of_four(x, stride, y, which)
        return
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
def _of_four(x, stride, y, which):  # type: ignore[no-untyped-def]
    """The same for windows of 2 x 2: each number is read and written once, some seven times as fast."""
    images, height, width, channels = y.shape
    for n in range(images):
        for row in range(height):
            for column in range(width):
                best, number = y[n, row, column], which[n, row, column]
                above, below = x[n, row * stride], x[n, row * stride + 1]
                first, second = above[column * stride], above[column * stride + 1]
                third, fourth = below[column * stride], below[column * stride + 1]
                for c in range(channels):
                    value, here = first[c], 0
                    larger = (second[c] > value) | ((second[c] != second[c]) & (value == value))
                    value, here = second[c] if larger else value, 1 if larger else here
                    larger = (third[c] > value) | ((third[c] != third[c]) & (value == value))
                    value, here = third[c] if larger else value, 2 if larger else here
                    larger = (fourth[c] > value) | ((fourth[c] != fourth[c]) & (value == value))
                    best[c], number[c] = fourth[c] if larger else value, 3 if larger else here


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


@njit(cache=True, error_model="numpy")
def largest_of_four(four, y, which):  # type: ignore[no-untyped-def]
    """The same where the numbers of a window lie in four lines, (4, numbers), as convolutions hand them over."""
    first, second, third, fourth = four[0], four[1], four[2], four[3]
    for p in range(len(y)):
        value, here = first[p], 0
        larger = (second[p] > value) | ((second[p] != second[p]) & (value == value))
        value, here = second[p] if larger else value, 1 if larger else here
        larger = (third[p] > value) | ((third[p] != third[p]) & (value == value))
        value, here = third[p] if larger else value, 2 if larger else here
        larger = (fourth[p] > value) | ((fourth[p] != fourth[p]) & (value == value))
        y[p], which[p] = fourth[p] if larger else value, 3 if larger else here


@njit(cache=True, error_model="numpy")
def one_of_four(dy, which, four):  # type: ignore[no-untyped-def]
    """The way back: each number of dy goes to its line of the four, zeros to the others."""
    for number in range(4):
        to, here = four[number], np.uint8(number)
        for p in range(len(dy)):
            to[p] = dy[p] if which[p] == here else dy.dtype.type(0)
