"""Numba twins of the kernels that change images: one core, no branch for a pixel that lies within its image."""

import numpy as np
from numba import njit

from hpcjobs.kernels.augment import CONSTANT, GREY, REFLECT, SMALL, UNIT, WEIGHT, WRAP

ONE = 2**WEIGHT
PART = np.float32(2.0**-WEIGHT)
# Three weighted bytes side by side in one integer: all channels of a pixel are blended at once.
LANE = WEIGHT + 8
LANE_MASK = 2**LANE - 1
LANES = 3
RED, GREEN, BLUE = (np.float32(part) for part in GREY)


def warp(images, maps, fill, value, scale, shift, out):  # type: ignore[no-untyped-def]
    if len(images) == 0:
        return
    # As tuples, so that the number of channels is known to the compiler.
    scale, shift = tuple(np.float32(one) for one in scale), tuple(np.float32(one) for one in shift)
    (count, height, width, channels), (rows, columns) = images.shape, out.shape[1:3]
    packed = images.dtype == np.uint8 and channels <= LANES
    lines, results = images.reshape(count, -1), out.reshape(count, -1)
    _warp(lines, height, width, maps, fill, np.float32(value), scale, shift, packed, results, rows, columns)


@njit(cache=True, error_model="numpy")
def _warp(images, height, width, maps, fill, value, scale, shift, packed, out, rows, columns):  # type: ignore[no-untyped-def]
    channels = len(scale)
    pixels = np.empty(height * width if packed else 0, dtype=np.int64)
    places = np.empty((4, columns), dtype=np.uint64)  # the four pixels around each point of a row
    weights = np.empty((4, columns), dtype=np.int64)
    for p in range(len(images)):
        image, m1, m4 = images[p], maps[p, 1], maps[p, 4]
        if packed:
            _pack(image, channels, pixels)
        for i in range(rows):
            row, column = maps[p, 0] * i + maps[p, 2], maps[p, 3] * i + maps[p, 5]
            first, last = _within(row, m1, height, 0, columns)
            first, last = _within(column, m4, width, first, last)
            for j in range(first, last):
                r, c = row + m1 * j, column + m4 * j
                place = np.uint64((r >> UNIT) * width + (c >> UNIT))
                places[0, j], places[1, j] = place, place + np.uint64(1)
                places[2, j], places[3, j] = place + np.uint64(width), place + np.uint64(width + 1)
                _weigh(r, c, weights, j)
            for other in range(columns - (last - first)):
                j = other if other < first else other + last - first
                _beyond(row + m1 * j, column + m4 * j, height, width, fill, places, weights, j)
            result = out[p, i * columns * channels : (i + 1) * columns * channels]
            if packed:
                _blend_packed(pixels, places, weights, scale, shift, result)
            else:
                _blend(image, places, weights, scale, shift, result)
            if fill == CONSTANT:
                for j in range(columns):
                    if not first <= j < last and _outside(row + m1 * j, column + m4 * j, height, width):
                        for channel in range(channels):
                            result[j * channels + channel] = value * scale[channel] + shift[channel]


@njit(cache=True, error_model="numpy")
def _pack(image, channels, pixels):  # type: ignore[no-untyped-def]
    for place in range(len(pixels)):
        lanes = np.int64(0)
        for channel in range(channels):
            lanes |= np.int64(image[place * channels + channel]) << (LANE * channel)
        pixels[place] = lanes


@njit(cache=True, error_model="numpy")
def _weigh(row, column, weights, j):  # type: ignore[no-untyped-def]
    right, down = (column >> (UNIT - WEIGHT)) & (ONE - 1), (row >> (UNIT - WEIGHT)) & (ONE - 1)
    corner = down * right >> WEIGHT
    weights[0, j], weights[1, j] = ONE - right - down + corner, right - corner
    weights[2, j], weights[3, j] = down - corner, corner


@njit(cache=True, error_model="numpy", inline="always")
def _beyond(row, column, height, width, fill, places, weights, j):  # type: ignore[no-untyped-def]
    """The four pixels of a point some of which may lie beyond the edge."""
    if fill == WRAP:
        row, column = _wrapped(row, height), _wrapped(column, width)
    r, c = row >> UNIT, column >> UNIT
    above, below = _index(r, height, fill) * width, _index(r + 1, height, fill) * width
    left, right = _index(c, width, fill), _index(c + 1, width, fill)
    places[0, j], places[1, j] = np.uint64(above + left), np.uint64(above + right)
    places[2, j], places[3, j] = np.uint64(below + left), np.uint64(below + right)
    _weigh(row, column, weights, j)


@njit(cache=True, error_model="numpy")
def _blend_packed(pixels, places, weights, scale, shift, result):  # type: ignore[no-untyped-def]
    channels = len(scale)
    for j in range(places.shape[1]):
        lanes = (
            weights[0, j] * pixels[places[0, j]]
            + weights[1, j] * pixels[places[1, j]]
            + weights[2, j] * pixels[places[2, j]]
            + weights[3, j] * pixels[places[3, j]]
        )
        for channel in range(channels):
            value = np.float32((lanes >> (LANE * channel)) & LANE_MASK) * PART
            result[np.uint64(j * channels + channel)] = value * scale[channel] + shift[channel]


@njit(cache=True, error_model="numpy")
def _blend(image, places, weights, scale, shift, result):  # type: ignore[no-untyped-def]
    channels = len(scale)
    count = np.uint64(channels)
    for j in range(places.shape[1]):
        one, two = np.float32(weights[0, j]), np.float32(weights[1, j])
        three, four = np.float32(weights[2, j]), np.float32(weights[3, j])
        a, b, c, d = places[0, j] * count, places[1, j] * count, places[2, j] * count, places[3, j] * count
        for channel in range(channels):
            k = np.uint64(channel)
            above = one * np.float32(image[a + k]) + two * np.float32(image[b + k])
            below = three * np.float32(image[c + k]) + four * np.float32(image[d + k])
            result[np.uint64(j * channels + channel)] = (above + below) * PART * scale[channel] + shift[channel]


@njit(cache=True, error_model="numpy")
def _within(start, step, size, first, last):  # type: ignore[no-untyped-def]
    """The part of `first` to `last` where start + step * j lies on a pixel that has a next one."""
    most = ((size - 1) << UNIT) - 1
    if step == 0:
        return (first, last) if 0 <= start <= most else (first, first)
    if step > 0:
        low, high = -(start // step), (most - start) // step + 1
    else:
        low, high = -((most - start) // -step), start // -step + 1
    first = min(max(first, low), last)
    return first, max(first, min(last, high))


@njit(cache=True, error_model="numpy")
def _outside(row, column, height, width):  # type: ignore[no-untyped-def]
    return row < 0 or row > (height - 1) << UNIT or column < 0 or column > (width - 1) << UNIT


@njit(cache=True, error_model="numpy")
def _wrapped(point, size):  # type: ignore[no-untyped-def]
    most = (size - 1) << UNIT
    return point if 0 <= point <= most else point % max(1, most)


@njit(cache=True, error_model="numpy")
def _index(pixel, size, fill):  # type: ignore[no-untyped-def]
    if fill == REFLECT and not 0 <= pixel < size:
        folded = pixel % (2 * size)
        return min(folded, 2 * size - 1 - folded)
    return min(max(pixel, 0), size - 1)


@njit(cache=True, error_model="numpy")
def colour(images, factors, low, high, scale, shift):  # type: ignore[no-untyped-def]
    count, height, width, channels = images.shape
    coloured = min(channels, 3)
    least, most = np.float32(low), np.float32(high)
    totals = np.empty((width, channels))
    for p in range(count):
        brightness, contrast = np.float64(factors[p, 0]), np.float64(factors[p, 1])
        saturation = np.float32(factors[p, 2])
        totals[:] = 0.0
        for i in range(height):
            for j in range(width):
                for channel in range(channels):
                    totals[j, channel] += images[p, i, j, channel]
        mean = 0.0
        for channel in range(coloured):
            total = 0.0
            for j in range(width):
                total += totals[j, channel]
            mean += (GREY[channel] if coloured == 3 else 1.0) * total
        mean = mean / (height * width) * brightness
        factor, level = np.float32(contrast * brightness), np.float32((1.0 - contrast) * mean)
        for i in range(height):
            for j in range(width):
                pixel = images[p, i, j]
                for channel in range(coloured):
                    pixel[channel] = factor * pixel[channel] + level
                if coloured == 3:
                    grey = (RED * pixel[0] + GREEN * pixel[1]) + BLUE * pixel[2]
                    for channel in range(3):
                        pixel[channel] = grey + saturation * (pixel[channel] - grey)
                for channel in range(coloured):
                    pixel[channel] = min(max(pixel[channel], least), most)
                for channel in range(channels):
                    pixel[channel] = pixel[channel] * scale[channel] + shift[channel]


@njit(cache=True, error_model="numpy")
def standardise(images):  # type: ignore[no-untyped-def]
    count, height, width, channels = images.shape
    lanes = np.empty(width * channels)
    for p in range(count):
        rows = images[p].reshape(height, width * channels)
        lanes[:] = 0.0
        for i in range(height):
            for k in range(len(lanes)):
                lanes[k] += rows[i, k]
        mean = _added(lanes) / rows.size
        lanes[:] = 0.0
        for i in range(height):
            for k in range(len(lanes)):
                away = rows[i, k] - mean
                lanes[k] += away * away
        factor = 1.0 / (np.sqrt(_added(lanes) / rows.size) + SMALL)
        for i in range(height):
            for k in range(len(lanes)):
                rows[i, k] = (rows[i, k] - mean) * factor


@njit(cache=True, error_model="numpy")
def _added(lanes):  # type: ignore[no-untyped-def]
    total = 0.0
    for k in range(len(lanes)):
        total += lanes[k]
    return total
