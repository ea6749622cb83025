"""Numba twins of the kernels of Winograd's convolution."""

import numpy as np
from numba import njit

from hpcjobs.kernels.cpu import tiles
from hpcjobs.kernels.cpu.convolution import bias_relu
from hpcjobs.kernels.cpu.pooling import largest_of_four, one_of_four

# Numbers of tiles, as they go into products and as they come out, that are worked on at a time: they fit a second-level
# cache. OpenBLAS is fastest at products of up to a million multiplications; fewer tiles are not worth one.
NUMBERS, MULTIPLICATIONS, FEWEST = 2**18, 10**6, 32


@njit(cache=True, error_model="numpy")
def taps(weights, out):  # type: ignore[no-untyped-def]
    _, _, channels, filters = weights.shape
    lines = np.empty((4, 3, channels * filters), weights.dtype)
    tiles.spread(weights.reshape(3, -1), lines.reshape(4, -1))
    for i in range(4):
        tiles.spread(lines[i], out[4 * i : 4 * i + 4].reshape(4, -1))


@njit(cache=True, error_model="numpy")
def forward(x, taps, bias, floor, top, left, pooled, y, which):  # type: ignore[no-untyped-def]
    channels, filters = taps.shape[1:]
    tall, wide = (y.shape[1] + 1 - pooled) // (2 - pooled), (y.shape[2] + 1 - pooled) // (2 - pooled)
    most = _most(len(x) * tall, wide, channels, filters)
    planes = np.empty((min(most, tall) + 1, 2, 2, wide + 1, channels), x.dtype)
    v, m = np.empty((16, most * wide, channels), x.dtype), np.empty((16, most * wide, filters), x.dtype)
    sums, four = np.empty((8, wide * filters), x.dtype), np.empty((4, wide * filters), x.dtype)
    for first in range(0, len(x) * tall, most):
        lines = min(most, len(x) * tall - first)
        places = lines * wide
        _cut(x, top, left, tall, first, lines, planes, v)
        for k in range(16):
            np.dot(v[k, :places], taps[k], m[k, :places])
        for number in range(lines):
            image, line = (first + number) // tall, (first + number) % tall
            tiles.undo(m, number * wide, sums, four)
            if pooled:
                largest_of_four(four, y[image, line].reshape(-1), which[image, line].reshape(-1))
            else:
                tiles.put(four, line, y[image])
    bias_relu(y.reshape(-1, filters), bias, floor)


@njit(cache=True, error_model="numpy")
def backward(x, taps, top, left, pooled, dy, which, dx, slopes):  # type: ignore[no-untyped-def]
    channels, filters = taps.shape[1:]
    tall, wide = (dy.shape[1] + 1 - pooled) // (2 - pooled), (dy.shape[2] + 1 - pooled) // (2 - pooled)
    most = _most(len(x) * tall, wide, channels, filters)
    planes = np.empty((min(most, tall) + 1, 2, 2, wide + 1, channels), x.dtype)
    v, m = np.empty((16, most * wide, channels), x.dtype), np.empty((16, most * wide, filters), x.dtype)
    sums, four = np.empty((8, wide * filters), x.dtype), np.empty((4, wide * filters), x.dtype)
    total, part = np.zeros((16, channels * filters), x.dtype), np.empty((channels, filters), x.dtype)
    turned = np.empty((16 if len(dx) else 0, filters, channels), x.dtype)
    for k in range(len(turned)):
        turned[k] = taps[k].T
    dx[...] = 0
    for first in range(0, len(x) * tall, most):
        lines = min(most, len(x) * tall - first)
        places = lines * wide
        _cut(x, top, left, tall, first, lines, planes, v)
        for number in range(lines):
            image, line = (first + number) // tall, (first + number) % tall
            if pooled:
                one_of_four(dy[image, line].reshape(-1), which[image, line].reshape(-1), four)
            else:
                tiles.put_adjoint(dy[image], line, four)
            tiles.undo_adjoint(four, number * wide, sums, m)
        for k in range(16):
            np.dot(v[k, :places].T, m[k, :places], part)
            tiles.add(part.reshape(-1), total[k])
        if len(dx):
            for k in range(16):
                np.dot(m[k, :places], turned[k], v[k, :places])
            _cut_adjoint(v, top, left, tall, first, lines, planes, dx)
    half = np.empty((4, 3, channels * filters), x.dtype)
    for i in range(4):
        tiles.spread_adjoint(total[4 * i : 4 * i + 4], half[i])
    tiles.spread_adjoint(half.reshape(4, -1), slopes.reshape(3, -1))


@njit(cache=True, error_model="numpy")
def _most(lines, wide, channels, filters):  # type: ignore[no-untyped-def]
    """Lines of tiles to work on at a time."""
    tiles = min(NUMBERS // (16 * (channels + filters)), MULTIPLICATIONS // (channels * filters))
    return min(max(1, lines), max(1, max(FEWEST, tiles) // max(1, wide)))


@njit(cache=True, error_model="numpy")
def _cut(x, top, left, tall, first, lines, planes, v):  # type: ignore[no-untyped-def]
    """The transformed tiles of some lines of tiles, counted over all images."""
    done, wide = 0, planes.shape[3] - 1
    while done < lines:
        image, line = (first + done) // tall, (first + done) % tall
        some = min(lines - done, tall - line)
        part = planes[: some + 1]
        tiles.take_apart(x[image], 2 * line - top, left, part)
        tiles.transform(part, done * wide, v)
        done += some


@njit(cache=True, error_model="numpy")
def _cut_adjoint(v, top, left, tall, first, lines, planes, dx):  # type: ignore[no-untyped-def]
    done, wide = 0, planes.shape[3] - 1
    while done < lines:
        image, line = (first + done) // tall, (first + done) % tall
        some = min(lines - done, tall - line)
        part = planes[: some + 1]
        tiles.transform_adjoint(v, done * wide, part)
        tiles.take_apart_adjoint(part, 2 * line - top, left, dx[image])
        done += some
