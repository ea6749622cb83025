"""Numba twins of the kernels of convolution."""

import numpy as np
from numba import njit

from hpcjobs.kernels.cpu.pooling import largest_of_four, one_of_four

# Numbers of patches and of what they give that are worked on at a time: they fit a second-level cache.
NUMBERS = 2**16


@njit(cache=True, error_model="numpy")
def forward(x, weights, bias, floor, stride, top, left, pooled, y, which):  # type: ignore[no-untyped-def]
    size = len(weights)
    _, tall, wide, filters = y.shape
    matrix = weights.reshape(-1, filters)
    length, each = len(matrix), 4 * wide if pooled else wide
    most = max(1, min(len(y) * tall, NUMBERS // max(1, each * (length + filters))))
    planes = _planes(x, size, stride, top, left, tall, wide, pooled)
    patches, corners = (
        np.empty(length * most * each, x.dtype),
        np.empty(most * each * filters if pooled else 0, x.dtype),
    )
    given, taken = y.reshape(-1, filters), which.reshape(-1, filters)
    at = -1
    for first in range(0, len(y) * tall, most):
        lines = min(most, len(y) * tall - first)
        columns = patches[: length * lines * each].reshape(length, lines * each)
        at = _cut(x, planes, at, size, stride, top, left, tall, wide, pooled, first, lines, columns)
        out = given[first * wide : (first + lines) * wide]
        if pooled:
            some, place = corners[: lines * each * filters], taken[first * wide : (first + lines) * wide]
            np.dot(columns.T, matrix, some.reshape(-1, filters))
            largest_of_four(some.reshape(4, -1), out.reshape(-1), place.reshape(-1))
        else:
            np.dot(columns.T, matrix, out)
        bias_relu(out, bias, floor)


@njit(cache=True, error_model="numpy")
def backward(x, weights, stride, top, left, pooled, dy, which, dx, slopes):  # type: ignore[no-untyped-def]
    size = len(weights)
    _, tall, wide, filters = dy.shape
    matrix = weights.reshape(-1, filters)
    length, each = len(matrix), 4 * wide if pooled else wide
    most = max(1, min(len(dy) * tall, NUMBERS // max(1, each * (length + filters))))
    planes = _planes(x, size, stride, top, left, tall, wide, pooled)
    back = np.zeros_like(planes)
    patches, corners = (
        np.empty(length * most * each, x.dtype),
        np.empty(most * each * filters if pooled else 0, x.dtype),
    )
    part, total = np.empty((length, filters), x.dtype), slopes.reshape(-1)
    given, taken = dy.reshape(-1, filters), which.reshape(-1, filters)
    total[:] = 0
    at, to = -1, -1
    for first in range(0, len(dy) * tall, most):
        lines = min(most, len(dy) * tall - first)
        columns = patches[: length * lines * each].reshape(length, lines * each)
        at = _cut(x, planes, at, size, stride, top, left, tall, wide, pooled, first, lines, columns)
        out = given[first * wide : (first + lines) * wide]
        if pooled:
            place = taken[first * wide : (first + lines) * wide]
            spread = corners[: lines * each * filters]
            one_of_four(out.reshape(-1), place.reshape(-1), spread.reshape(4, -1))
            out = spread.reshape(-1, filters)
        np.dot(columns, out, part)
        flat = part.reshape(-1)
        for p in range(len(flat)):
            total[p] += flat[p]
        if len(dx):
            np.dot(matrix, out.T, columns)
            to = _cut_adjoint(columns, size, stride, tall, wide, pooled, first, lines, back, to, top, left, dx)
    if len(dx):
        _put_together(back, top, left, dx[to])


@njit(cache=True, error_model="numpy")
def _planes(x, size, stride, top, left, tall, wide, pooled):  # type: ignore[no-untyped-def]
    """Room for the channels of one image, with zeros around it, every `step`-th column apart: (c, step, height, width).

    So what one number of the weights meets in a line is one run of numbers.
    """
    _, high, broad, channels = x.shape
    step = 2 * stride if pooled else stride
    below, right = (2 * tall if pooled else tall) * stride + size, (2 * wide if pooled else wide) * stride + size
    return np.zeros((channels, step, max(below, top + high), max(right, left + broad) // step + 1), x.dtype)


@njit(cache=True, error_model="numpy")
def _take_apart(x, top, left, planes):  # type: ignore[no-untyped-def]
    high, broad, channels = x.shape
    step = planes.shape[1]
    for y in range(high):
        for c in range(channels):
            for r in range(min(step, broad)):
                begin = left + r
                taken = planes[c, begin % step, top + y, begin // step :]
                for p in range((broad - r + step - 1) // step):
                    taken[p] = x[y, r + step * p, c]


@njit(cache=True, error_model="numpy")
def _put_together(planes, top, left, x):  # type: ignore[no-untyped-def]
    high, broad, channels = x.shape
    step = planes.shape[1]
    for y in range(high):
        for c in range(channels):
            for r in range(min(step, broad)):
                begin = left + r
                given = planes[c, begin % step, top + y, begin // step :]
                for p in range((broad - r + step - 1) // step):
                    x[y, r + step * p, c] = given[p]


@njit(cache=True, error_model="numpy")
def _cut(x, planes, at, size, stride, top, left, tall, wide, pooled, first, lines, out):  # type: ignore[no-untyped-def]
    """Patches of x as columns of out, for some lines of what a convolution gives, counted over all images.

    With a pool behind them, these are lines of windows of 2 x 2, and the patches of their four corners come one corner
    after the other. `planes` hold image number `at`; returns the number of that which they hold then.
    """
    step = 2 if pooled else 1
    for number in range(first, first + lines):
        image, line = number // tall, number % tall
        if image != at:
            at = image
            _take_apart(x[at], top, left, planes)
        for corner in range(step * step):
            place = (corner * lines + number - first) * wide
            above, before = (line * step + corner // 2) * stride, corner % 2 * stride
            for tap in range(len(out)):
                i, j, c = tap // len(planes) // size, tap // len(planes) % size, tap % len(planes)
                given = planes[c, (before + j) % planes.shape[1], above + i, (before + j) // planes.shape[1] :]
                taken = out[tap, place : place + wide]
                for p in range(wide):
                    taken[p] = given[p]
    return at


@njit(cache=True, error_model="numpy")
def _cut_adjoint(columns, size, stride, tall, wide, pooled, first, lines, planes, at, top, left, dx):  # type: ignore[no-untyped-def]
    """Patches are added to where they were cut; full `planes` go to dx."""
    step = 2 if pooled else 1
    for number in range(first, first + lines):
        image, line = number // tall, number % tall
        if image != at:
            if at >= 0:
                _put_together(planes, top, left, dx[at])
            at = image
            planes[...] = 0
        for corner in range(step * step):
            place = (corner * lines + number - first) * wide
            above, before = (line * step + corner // 2) * stride, corner % 2 * stride
            for tap in range(len(columns)):
                i, j, c = tap // len(planes) // size, tap // len(planes) % size, tap % len(planes)
                taken = planes[c, (before + j) % planes.shape[1], above + i, (before + j) // planes.shape[1] :]
                given = columns[tap, place : place + wide]
                for p in range(wide):
                    taken[p] += given[p]
    return at


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
