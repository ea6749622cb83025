"""Numba twins of the k-means kernels: one core, points as vector lanes, one BLAS thread per tile."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hpcjobs.kernels.cpu.filtering import TILE, make_filter, make_tile, nearest

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Labels = NDArray[np.int32]

# Rows a strip, where rows are turned into columns; their stride is no power of two, which would fill one
# cache set.
STRIP = 64
STRIDE = STRIP + 8


@njit(cache=True, error_model="numpy")
def extent(points, low, high, finite):  # type: ignore[no-untyped-def]
    rows, features = points.shape
    for p in range(rows):
        state = np.uint8(1)
        for f in range(features):
            x = np.float64(points[p, f])
            if math.isinf(x):
                state = np.uint8(2)
            elif math.isnan(x) and state == 1:
                state = np.uint8(0)
        finite[p] = state
        if state == 1:
            for f in range(features):
                x = np.float64(points[p, f])
                low[f] = min(low[f], x)
                high[f] = max(high[f], x)


@njit(cache=True, error_model="numpy")
def moments(points, shift, scale, root_scale, low_scale, sums):  # type: ignore[no-untyped-def]
    rows, features = points.shape
    for p in range(rows):
        for f in range(features):
            scaled = (np.float64(points[p, f]) - shift[f]) * scale[f]
            whole = np.rint(scaled)
            sums[0, f] += np.int64(whole)
            sums[1, f] += np.int64(np.rint((scaled - whole) * low_scale))
            z = scaled * root_scale
            square = z * z
            whole = np.rint(square)
            sums[2, f] += np.int64(whole)
            sums[3, f] += np.int64(np.rint((square - whole) * low_scale))


@njit(cache=True, error_model="numpy")
def assign(  # type: ignore[no-untyped-def]
    points, weights, centres, shift, scale, low_scale, mass_scale, labels, sums, masses
):
    """Certified Lloyd assignment, tile by tile; see `filtering`."""
    rows, features = points.shape
    clusters = len(centres)
    ready = make_filter(centres, shift, reach_of(weights, scale, low_scale, mass_scale))
    tile = make_tile(clusters, features)
    every = np.arange(clusters).astype(np.int32)
    settled = 0
    for start in range(0, rows, TILE):
        some = np.arange(start, min(start + TILE, rows))
        settled += nearest(points, some, shift, centres, every, ready.small, ready.half_norms, ready, tile)
        labels[start : start + len(some)] = tile.found[: len(some)]
        add_rows(points, weights, start, len(some), shift, scale, low_scale, mass_scale, labels, sums, masses)
    return settled


@njit(cache=True, error_model="numpy")
def reach_of(weights, scale, low_scale, mass_scale):  # type: ignore[no-untyped-def]
    """How far rows can lie from `shift` (features,).

    `scale` brings weight * (x - shift) below low_scale, mass_scale the largest weight into its upper half.
    """
    return 2.0 * (mass_scale if len(weights) else low_scale) / scale


@njit(cache=True, error_model="numpy")
def add_rows(  # type: ignore[no-untyped-def]
    points, weights, start, count, shift, scale, low_scale, mass_scale, labels, sums, masses
):
    """Add `count` fixed-point rows to the sums of their labels."""
    two_lanes = len(sums) > 1
    for p in range(start, start + count):
        label = labels[p]
        weight = weights[p] if len(weights) else 1.0
        mass = weight * mass_scale
        masses[0, label] += np.int64(np.rint(mass))
        if two_lanes:
            masses[1, label] += np.int64(np.rint((mass - np.rint(mass)) * low_scale))
            for f in range(len(shift)):
                scaled = weight * (np.float64(points[p, f]) - shift[f]) * scale[f]
                whole = np.rint(scaled)
                sums[0, label, f] += np.int64(whole)
                sums[1, label, f] += np.int64(np.rint((scaled - whole) * low_scale))
        else:
            for f in range(len(shift)):
                sums[0, label, f] += np.int64(np.rint(weight * (np.float64(points[p, f]) - shift[f]) * scale[f]))


@njit(cache=True, error_model="numpy")
def squared_distances(points, centres, labels, out):  # type: ignore[no-untyped-def]
    for p in range(len(points)):
        total = 0.0
        label = labels[p]
        for f in range(points.shape[1]):
            difference = np.float64(points[p, f]) - centres[label, f]
            total += difference * difference
        out[p] = total


@njit(cache=True, error_model="numpy")
def narrow(points, centre, closest):  # type: ignore[no-untyped-def]
    rows, features = points.shape
    columns = np.zeros((features, STRIDE))
    squared = np.empty(STRIP)
    for start in range(0, rows, STRIP):
        count = min(STRIP, rows - start)
        turn(points, start, count, columns)
        distances_to(columns, centre, squared)
        for p in range(count):
            closest[start + p] = min(closest[start + p], squared[p])


@njit(cache=True, error_model="numpy")
def potentials(points, weights, candidates, closest, scale, sums):  # type: ignore[no-untyped-def]
    rows, features = points.shape
    columns = np.zeros((features, STRIDE))
    squared = np.empty(STRIP)
    for start in range(0, rows, STRIP):
        count = min(STRIP, rows - start)
        turn(points, start, count, columns)
        for trial in range(len(candidates)):
            distances_to(columns, candidates[trial], squared)
            total = np.int64(0)
            if len(weights):
                for p in range(count):
                    left = weights[start + p] * min(closest[start + p], squared[p])
                    total += np.int64(np.rint(left * scale))
            else:
                for p in range(count):
                    total += np.int64(np.rint(min(closest[start + p], squared[p]) * scale))
            sums[trial] += total


@njit(cache=True, error_model="numpy")
def turn(points, start, count, columns):  # type: ignore[no-untyped-def]
    """A strip of rows as float64 columns (features, STRIDE), so that rows become vector lanes."""
    for p in range(count):
        for f in range(len(columns)):
            columns[f, p] = np.float64(points[start + p, f])


@njit(cache=True, error_model="numpy")
def distances_to(columns, centre, squared):  # type: ignore[no-untyped-def]
    """Defined squared distances of a strip to one centre; eight features a sweep, to store less often."""
    squared[:] = 0.0
    features = len(centre)
    whole = features - features % 8
    for f in range(0, whole, 8):
        for p in range(STRIP):
            total = squared[p]
            for g in range(8):
                difference = columns[f + g, p] - centre[f + g]
                total += difference * difference
            squared[p] = total
    for f in range(whole, features):
        for p in range(STRIP):
            difference = columns[f, p] - centre[f]
            squared[p] += difference * difference
