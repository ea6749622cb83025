"""Numba twin of the cosines."""

import numpy as np
from numba import njit


@njit(cache=True, error_model="numpy")
def waves(x, turns, out):  # type: ignore[no-untyped-def]
    one, quarter = x.dtype.type(1), x.dtype.type(np.pi / 2)
    numbers, count = turns.shape
    for r in range(len(x)):
        for i in range(numbers):
            out[r, i] = x[r, i]
        for w in range(count):
            phase = x.dtype.type(0)
            for i in range(numbers):
                phase += (x[r, i] + one) * turns[i, w]
            out[r, numbers + w] = np.cos(quarter * phase)
