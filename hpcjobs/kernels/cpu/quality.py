"""Numba twins of the kernels of quality."""

import numpy as np
from numba import njit


@njit(cache=True, error_model="numpy")
def second_nearest(points, centres, occupied, labels, out):  # type: ignore[no-untyped-def]
    rows, features = points.shape
    row = np.empty(features)
    for p in range(rows):
        for f in range(features):
            row[f] = np.float64(points[p, f])
        least = np.inf
        for j in range(len(centres)):
            if j == labels[p] or not occupied[j]:
                continue
            total = 0.0
            for f in range(features):
                difference = row[f] - centres[j, f]
                total += difference * difference
                if total >= least:
                    break  # terms are not negative: it cannot become the least
            least = min(least, total)
        out[p] = least


@njit(cache=True, error_model="numpy")
def distance_sums(rows, every, labels, sums):  # type: ignore[no-untyped-def]
    some, features = rows.shape
    for p in range(some):
        sums[p] = 0.0
        for q in range(len(every)):
            if labels[q] < 0:
                continue
            total = 0.0
            for f in range(features):
                difference = rows[p, f] - every[q, f]
                total += difference * difference
            sums[p, labels[q]] += np.sqrt(total)
