"""Numba twins of the kernels on rows."""

import numpy as np
from numba import njit


@njit(cache=True, error_model="numpy")
def rescale(points, offset, factor, unit, out):  # type: ignore[no-untyped-def]
    rows, features = points.shape
    values = np.empty(features)
    for p in range(rows):
        largest = 0.0
        for f in range(features):
            values[f] = (np.float64(points[p, f]) - offset[f]) / factor[f]
            largest = max(largest, abs(values[f]))
        if unit and largest > 0:
            squares = 0.0
            for f in range(features):
                values[f] /= largest
                squares += values[f] * values[f]
            length = np.sqrt(squares)
            for f in range(features):
                out[p, f] = values[f] / length
        else:
            for f in range(features):
                out[p, f] = values[f]


@njit(cache=True, error_model="numpy")
def digit_counts(points, prefixes, shift, counts):  # type: ignore[no-untyped-def]
    rows, features = points.shape
    selections = len(prefixes)
    value = np.empty(1)
    bits = value.view(np.uint64)
    top = np.uint64(2**63)
    down = np.uint64(shift)
    for p in range(rows):
        for f in range(features):
            value[0] = points[p, f]
            key = ~bits[0] if bits[0] & top else bits[0] | top
            digit = (key >> down) & np.uint64(255)
            above = (key >> down) >> np.uint64(8)
            for s in range(selections):
                if above == prefixes[s, f]:
                    counts[s, f, digit] += 1
