"""Sums of runs of numbers, as Winograd's transforms need them: polynomials at 0, +-NEAR, +-FAR and infinity."""

import numpy as np
from numba import njit

# Numbers of a run that are worked on at a time, so that they stay in the first-level cache.
RUN = 640


@njit(cache=True, error_model="numpy")
def evaluate(matrix, given, begins, to, places, run, room):  # type: ignore[no-untyped-def]
    """The run of `to` from places[i] on is the sum over k of matrix[i, k] times that of `given` from begins[k] on.

    The matrix (6, 4 or 6) is A^T or B of `kernels.winograd`: it evaluates polynomials at 0, +-NEAR, +-FAR and infinity,
    so that what is even in two rows is the same, and what is odd is opposite. `given` and `to` are one-dimensional, and
    apart; room (4, RUN) is worked in.
    """
    last, first = len(begins) - 1, len(begins) - 4
    for start in range(0, run, RUN):
        size = min(RUN, run - start)
        even = room[0, :size]
        for row in (1, 3):
            a, b = _part(given, begins[first], start, size), _part(given, begins[first + 2], start, size)
            _two(matrix[row, first], a, matrix[row, first + 2], b, even)
            a, b = _part(given, begins[1], start, size), _part(given, begins[3], start, size)
            plus, minus = _part(to, places[row], start, size), _part(to, places[row + 1], start, size)
            _pair(even, matrix[row, 1], a, matrix[row, 3], b, plus, minus)
        for end in range(2):
            out = _part(to, places[5 * end], start, size)
            if first == 0:
                _copy(_part(given, begins[end * last], start, size), out)
            else:
                a, b = _part(given, begins[end], start, size), _part(given, begins[end + 2], start, size)
                c, row = _part(given, begins[end + 4], start, size), 5 * end
                _three(matrix[row, end], a, matrix[row, end + 2], b, matrix[row, end + 4], c, out)


@njit(cache=True, error_model="numpy")
def interpolate(matrix, given, begins, to, places, run, room, add):  # type: ignore[no-untyped-def]
    """The same for the adjoints A and B^T (4 or 6, 6), of paired columns; with `add`, added to what is there."""
    for start in range(0, run, RUN):
        size = min(RUN, run - start)
        for pair in range(2):
            a, b = _part(given, begins[1 + 2 * pair], start, size), _part(given, begins[2 + 2 * pair], start, size)
            _sum_and_difference(a, b, room[pair, :size], room[2 + pair, :size])
        for row in range(len(places)):
            odd, out = row % 2, _part(to, places[row], start, size)
            a, b = room[2 * odd, :size], room[2 * odd + 1, :size]
            end, factor = _part(given, begins[5 * odd], start, size), matrix[row, 5 * odd]
            if add:
                _add_three(matrix[row, 1], a, matrix[row, 3], b, factor, end, out)
            elif factor == 0:
                _two(matrix[row, 1], a, matrix[row, 3], b, out)
            else:
                _three(matrix[row, 1], a, matrix[row, 3], b, factor, end, out)


@njit(cache=True, error_model="numpy")
def spread(matrix, weights, out):  # type: ignore[no-untyped-def]
    """out (6, numbers) is G (6, 3) of weights (3, numbers)."""
    for row in range(len(out)):
        g = matrix[row]
        _three(g[0], weights[0], g[1], weights[1], g[2], weights[2], out[row])


@njit(cache=True, error_model="numpy")
def spread_adjoint(matrix, slopes, out):  # type: ignore[no-untyped-def]
    for row in range(len(out)):
        g = matrix[:, row]
        _three(g[0], slopes[0], g[1], slopes[1], g[2], slopes[2], out[row])
        _add_three(g[3], slopes[3], g[4], slopes[4], g[5], slopes[5], out[row])


# Put into their callers: a call costs as much as some hundred of their sums. Sources and results are five at most, as
# LLVM does not look whether more of them are apart.
@njit(cache=True, error_model="numpy", inline="always")
def _part(array, begin, start, size):  # type: ignore[no-untyped-def]
    return array[begin + start : begin + start + size]


@njit(cache=True, error_model="numpy", inline="always")
def _copy(a, out):  # type: ignore[no-untyped-def]
    for p in range(len(out)):
        out[p] = a[p]


@njit(cache=True, error_model="numpy", inline="always")
def _two(f, a, g, b, out):  # type: ignore[no-untyped-def]
    f, g = out.dtype.type(f), out.dtype.type(g)
    for p in range(len(out)):
        out[p] = f * a[p] + g * b[p]


@njit(cache=True, error_model="numpy", inline="always")
def _three(f, a, g, b, h, c, out):  # type: ignore[no-untyped-def]
    f, g, h = out.dtype.type(f), out.dtype.type(g), out.dtype.type(h)
    for p in range(len(out)):
        out[p] = f * a[p] + g * b[p] + h * c[p]


@njit(cache=True, error_model="numpy", inline="always")
def _add_three(f, a, g, b, h, c, out):  # type: ignore[no-untyped-def]
    f, g, h = out.dtype.type(f), out.dtype.type(g), out.dtype.type(h)
    for p in range(len(out)):
        out[p] += f * a[p] + g * b[p] + h * c[p]


@njit(cache=True, error_model="numpy", inline="always")
def _pair(even, f, a, g, b, plus, minus):  # type: ignore[no-untyped-def]
    f, g = even.dtype.type(f), even.dtype.type(g)
    for p in range(len(even)):
        odd = f * a[p] + g * b[p]
        plus[p] = even[p] + odd
        minus[p] = even[p] - odd


@njit(cache=True, error_model="numpy", inline="always")
def _sum_and_difference(a, b, plus, minus):  # type: ignore[no-untyped-def]
    for p in range(len(a)):
        plus[p] = a[p] + b[p]
        minus[p] = a[p] - b[p]


@njit(cache=True, error_model="numpy")
def add(a, out):  # type: ignore[no-untyped-def]
    for p in range(len(out)):
        out[p] += a[p]


@njit(cache=True, error_model="numpy")
def empty(shape, like):  # type: ignore[no-untyped-def]
    """Room that begins at a cache line: runs that begin in the midst of one are twice as slow."""
    line, size = 64 // like.itemsize, 1
    for length in shape:
        size *= length
    found = np.empty(size + line, like.dtype)
    begin = -(found.ctypes.data // like.itemsize) % line
    return found[begin : begin + size].reshape(shape)
