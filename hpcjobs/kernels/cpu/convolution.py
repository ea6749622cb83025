"""Numba twins of the kernels of convolution."""

import numpy as np
from numba import njit, uintp


@njit(cache=True, error_model="numpy")
def gather(x, tall, size, stride, top, left, width, height, start, out):  # type: ignore[no-untyped-def]
    _, high, wide, channels = x.shape
    run = uintp(size * channels)  # one row of a patch lies in one piece in the image
    given, taken = x.reshape(-1), out.reshape(-1)
    column, line = start % width, start // width % height
    image = start // (width * height)
    to = uintp(0)  # places that cannot be negative: Python's counting from the end would cost the lanes
    for _ in range(len(out)):
        before, row = column * stride - left, line * stride - top
        inside = before >= 0 and before + size <= wide
        for i in range(tall):
            y = row + i
            if y < 0 or y >= high:
                for t in range(run):
                    taken[to + t] = 0
            elif inside:
                source = uintp(((image * high + y) * wide + before) * channels)
                for t in range(run):
                    taken[to + t] = given[source + t]
            else:
                for j in range(size):
                    for c in range(channels):
                        within = 0 <= before + j < wide
                        taken[to + uintp(j * channels + c)] = x[image, y, before + j, c] if within else 0
            to += run
        column += 1
        if column == width:
            column, line = 0, line + 1
            if line == height:
                line, image = 0, image + 1


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
