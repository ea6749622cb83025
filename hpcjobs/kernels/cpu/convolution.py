"""Numba twins of the kernels of convolution."""

import numpy as np
from numba import njit


@njit(cache=True, error_model="numpy")
def gather(x, size, stride, top, left, width, height, start, out):  # type: ignore[no-untyped-def]
    _, high, wide, channels = x.shape
    run = size * channels  # one row of a patch lies in one piece in the image
    flat = x.reshape(-1)
    for r in range(len(out)):
        place = start + r
        column = place % width * stride - left
        row = place // width % height * stride - top
        image = place // (width * height)
        inside = column >= 0 and column + size <= wide
        target = out[r]
        for i in range(size):
            y = row + i
            if y < 0 or y >= high:
                for t in range(run):
                    target[i * run + t] = 0
            elif inside:
                base = ((image * high + y) * wide + column) * channels
                target[i * run : (i + 1) * run] = flat[base : base + run]
            else:
                for j in range(size):
                    for c in range(channels):
                        within = 0 <= column + j < wide
                        target[i * run + j * channels + c] = x[image, y, column + j, c] if within else 0


@njit(cache=True, error_model="numpy")
def narrow(wide, start, height, width, y):  # type: ignore[no-untyped-def]
    for r in range(len(wide)):
        place = start + r
        row, column = place // width % height, place % width
        if row < y.shape[1] and column < y.shape[2]:
            y[place // (height * width), row, column] = wide[r]


@njit(cache=True, error_model="numpy")
def bias_relu(y, bias, floor):  # type: ignore[no-untyped-def]
    low = y.dtype.type(floor)
    for r in range(len(y)):
        for c in range(y.shape[1]):
            value = y[r, c] + bias[c]
            y[r, c] = low if value < low else value  # NaN stays


@njit(cache=True, error_model="numpy")
def relu_backward(y, dy):  # type: ignore[no-untyped-def]
    for r in range(len(y)):
        for c in range(y.shape[1]):
            dy[r, c] = dy[r, c] if y[r, c] > 0 else dy.dtype.type(0)


@njit(cache=True, error_model="numpy")
def column_sums(dy, out):  # type: ignore[no-untyped-def]
    total = np.zeros(dy.shape[1])
    for r in range(len(dy)):
        for c in range(dy.shape[1]):
            total[c] += dy[r, c]
    for c in range(dy.shape[1]):
        out[c] = total[c]


@njit(cache=True, error_model="numpy")
def moments(x, out):  # type: ignore[no-untyped-def]
    out[...] = 0.0
    for r in range(len(x)):
        for c in range(x.shape[1]):
            value = np.float64(x[r, c])
            out[0, c] += value
            out[1, c] += value * value
