"""Numba twins of the kernels of quality: rows as vector lanes."""

import numpy as np
from numba import njit

from hpcjobs.kernels.cpu.kmeans import STRIDE, STRIP, distances_to, turn


@njit(cache=True, error_model="numpy")
def second_nearest(points, centres, occupied, labels, out):  # type: ignore[no-untyped-def]
    rows, features = points.shape
    columns = np.zeros((features, STRIDE))
    squared = np.empty(STRIP)
    for start in range(0, rows, STRIP):
        count = min(STRIP, rows - start)
        turn(points, start, count, columns)
        out[start : start + count] = np.inf
        for j in range(len(centres)):
            if occupied[j]:
                distances_to(columns, centres[j], squared)
                for p in range(count):
                    other = np.inf if labels[start + p] == j else squared[p]
                    out[start + p] = min(out[start + p], other)


@njit(cache=True, error_model="numpy")
def distance_sums(rows, every, labels, sums):  # type: ignore[no-untyped-def]
    some, features = rows.shape
    columns = np.zeros((features, STRIDE))
    squared = np.empty(STRIP)
    sums[:] = 0.0
    for start in range(0, some, STRIP):
        count = min(STRIP, some - start)
        turn(rows, start, count, columns)
        for q in range(len(every)):
            if labels[q] >= 0:
                distances_to(columns, every[q], squared)
                for p in range(count):
                    sums[start + p, labels[q]] += np.sqrt(squared[p])
