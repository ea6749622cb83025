"""Numba twins of the kernels of Winograd's convolution."""

import numpy as np
from numba import njit

from hpcjobs.kernels import winograd
from hpcjobs.kernels.cpu import tiles
from hpcjobs.kernels.cpu.convolution import bias_relu
from hpcjobs.kernels.cpu.polynomials import RUN, add, empty, spread, spread_adjoint
from hpcjobs.kernels.cpu.pooling import largest_of_four, one_of_four

G, PLACES, SIDE = winograd.G, winograd.PLACES, winograd.SIDE
NUMBER = SIDE * SIDE
# Where the places of a tile are kept: line by line, and so that the four of each window of 2 x 2 are together.
PLAIN = np.arange(PLACES * PLACES).reshape(PLACES, PLACES)
BY_FOUR = np.array([[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]])
# Numbers of tiles, as they go into products and as they come out, that are worked on at a time: they fit a second-level
# cache. OpenBLAS is fastest at products of up to a million multiplications; fewer tiles are not worth one.
NUMBERS, MULTIPLICATIONS, FEWEST = 2**18, 10**6, 32


@njit(cache=True, error_model="numpy")
def taps(weights, out):  # type: ignore[no-untyped-def]
    half = empty((SIDE, 3, weights[0, 0].size), weights)
    spread(G, weights.reshape(3, -1), half.reshape(SIDE, -1))
    for i in range(SIDE):
        spread(G, half[i], out[SIDE * i : SIDE * i + SIDE].reshape(SIDE, -1))


@njit(cache=True, error_model="numpy")
def forward(x, taps, bias, floor, top, left, pooled, y, which):  # type: ignore[no-untyped-def]
    channels, filters = taps.shape[1:]
    tall, wide, step = _tiles_for(y, pooled)
    most = _most(len(x) * tall, wide, channels, filters)
    planes, v, m, tile, found, places, room = _room(x, y, which, most, tall, wide, channels, filters, step)
    order = BY_FOUR if pooled else PLAIN
    y[...] = 0
    which[...] = 0
    for first in range(0, len(x) * tall, most):
        lines = min(most, len(x) * tall - first)
        tiles.cut(x, top, left, tall, first, lines, planes, v, room)
        for k in range(NUMBER):
            np.dot(v[k, : lines * wide], taps[k], m[k, : lines * wide])
        for number in range(lines):
            image, line = (first + number) // tall, (first + number) % tall
            tiles.undo(m, number * wide, tile, order, room)
            if pooled:
                for window in range(step * step):
                    here = slice(PLACES * window, PLACES * window + PLACES)
                    largest_of_four(tile[here], found[window], places[window])
                parts = places.reshape(1, step, step, wide, filters)
                tiles.add_back(parts, step * line, 0, which[image])
                tiles.add_back(found.reshape(1, step, step, wide, filters), step * line, 0, y[image])
            else:
                tiles.add_back(tile.reshape(1, step, step, wide, filters), step * line, 0, y[image])
    bias_relu(y.reshape(-1, filters), bias, floor)


@njit(cache=True, error_model="numpy")
def backward(x, turned, top, left, pooled, dy, which, dx, slopes):  # type: ignore[no-untyped-def]
    filters, channels = turned.shape[1:]
    tall, wide, step = _tiles_for(dy, pooled)
    most = _most(len(x) * tall, wide, channels, filters)
    planes, v, m, tile, found, places, room = _room(x, dy, which, most, tall, wide, channels, filters, step)
    order = BY_FOUR if pooled else PLAIN
    total, part = empty((NUMBER, channels * filters), x), empty((channels, filters), x)
    total[...] = 0
    dx[...] = 0
    for first in range(0, len(x) * tall, most):
        lines = min(most, len(x) * tall - first)
        tiles.cut(x, top, left, tall, first, lines, planes, v, room)
        for number in range(lines):
            image, line = (first + number) // tall, (first + number) % tall
            if pooled:
                tiles.take_apart(dy[image], step * line, 0, found.reshape(1, step, step, wide, filters))
                tiles.take_apart(which[image], step * line, 0, places.reshape(1, step, step, wide, filters))
                for window in range(step * step):
                    here = slice(PLACES * window, PLACES * window + PLACES)
                    one_of_four(found[window], places[window], tile[here])
            else:
                tiles.take_apart(dy[image], step * line, 0, tile.reshape(1, step, step, wide, filters))
            tiles.undo_adjoint(tile, order, number * wide, m, room)
        for k in range(NUMBER):
            np.dot(v[k, : lines * wide].T, m[k, : lines * wide], part)
            add(part.reshape(-1), total[k])
        if len(dx):
            for k in range(NUMBER):
                np.dot(m[k, : lines * wide], turned[k], v[k, : lines * wide])
            tiles.cut_adjoint(v, top, left, tall, first, lines, planes, dx, room)
    sums = empty((SIDE, 3, channels * filters), x)
    for i in range(SIDE):
        spread_adjoint(G, total[SIDE * i : SIDE * i + SIDE], sums[i])
    spread_adjoint(G, sums.reshape(SIDE, -1), slopes.reshape(3, -1))


@njit(cache=True, error_model="numpy")
def _tiles_for(y, pooled):  # type: ignore[no-untyped-def]
    """Lines and columns of tiles for what is given, and how many of its places are in a tile in each direction."""
    step = PLACES // 2 if pooled else PLACES
    return (y.shape[1] + step - 1) // step, (y.shape[2] + step - 1) // step, step


@njit(cache=True, error_model="numpy")
def _most(lines, wide, channels, filters):  # type: ignore[no-untyped-def]
    """Lines of tiles to work on at a time."""
    number = min(NUMBERS // (NUMBER * (channels + filters)), MULTIPLICATIONS // (channels * filters))
    return min(max(1, lines), max(1, max(FEWEST, number) // max(1, wide)))


@njit(cache=True, error_model="numpy")
def _room(x, y, which, most, tall, wide, channels, filters, step):  # type: ignore[no-untyped-def]
    """Planes, transformed tiles before and after products, a line of tiles before and behind its pool, and more."""
    planes = empty((min(most, tall) + 1, PLACES, PLACES, wide + 1, channels), x)
    v, m = empty((NUMBER, most * wide, channels), x), empty((NUMBER, most * wide, filters), x)
    run = wide * filters
    tile, found, places = empty((PLACES**2, run), x), empty((step**2, run), x), empty((step**2, run), which)
    half = empty((SIDE * PLACES * max((wide + 1) * channels, run),), x)
    return planes, v, m, tile, found, places, (half, empty((4, RUN), x))
