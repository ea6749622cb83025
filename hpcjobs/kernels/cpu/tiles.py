"""How images and weights become Winograd's tiles and come back, and the adjoints of both: parts of `winograd`.

Lines and columns are taken apart by parity, so that a line of tiles is one run of lanes, whatever its channels:
`planes` (lines, 2, 2, columns, c) hold place (2y + i, 2x + j) of an image at [y, i, j, x]. A tile of what a convolution
gives is 2 x 2 places, `four` (4, columns * c) those of a line of tiles; it is made of 4 x 4 places that begin there.
Loops have two sources at most: with more, LLVM does not find that they are apart.
"""

import numpy as np
from numba import njit


@njit(cache=True, error_model="numpy")
def take_apart(x, top, left, planes):  # type: ignore[no-untyped-def]
    """The planes of x (h, w, c) from line `top` and column -left on, zero beyond its edges."""
    high, broad, channels = x.shape
    for y in range(2 * len(planes)):
        line = top + y
        for column in range(2 * planes.shape[3]):
            at, to = column - left, planes[y // 2, y % 2, column % 2, column // 2]
            if 0 <= line < high and 0 <= at < broad:
                given = x[line, at]
                for c in range(channels):
                    to[c] = given[c]
            else:
                to[:] = 0


@njit(cache=True, error_model="numpy")
def take_apart_adjoint(planes, top, left, x):  # type: ignore[no-untyped-def]
    high, broad, channels = x.shape
    for y in range(2 * len(planes)):
        line = top + y
        for column in range(2 * planes.shape[3]):
            at, given = column - left, planes[y // 2, y % 2, column % 2, column // 2]
            if 0 <= line < high and 0 <= at < broad:
                to = x[line, at]
                for c in range(channels):
                    to[c] += given[c]


@njit(cache=True, error_model="numpy")
def transform(planes, begin, v):  # type: ignore[no-untyped-def]
    """v (16, places, c) from place `begin` on is B^T d B of each tile d."""
    lines, _, _, wide, channels = planes.shape
    lines, run = lines - 1, (wide - 1) * channels
    half = np.empty((2, wide * channels), planes.dtype)
    even, odd = half[0], half[1]
    for line in range(lines):
        place = begin + line * (wide - 1)
        for i in range(4):
            for j in range(2):
                one, two = planes[line, 0, j].reshape(-1), planes[line, 1, j].reshape(-1)
                three, four = planes[line + 1, 0, j].reshape(-1), planes[line + 1, 1, j].reshape(-1)
                if i == 0:
                    _minus(one, three, half[j])
                elif i == 1:
                    _plus(two, three, half[j])
                elif i == 2:
                    _minus(three, two, half[j])
                else:
                    _minus(two, four, half[j])
            lanes = slice(place, place + wide - 1)
            _minus(even[:run], even[channels:], v[4 * i, lanes].reshape(-1))
            _plus(odd[:run], even[channels:], v[4 * i + 1, lanes].reshape(-1))
            _minus(even[channels:], odd[:run], v[4 * i + 2, lanes].reshape(-1))
            _minus(odd[:run], odd[channels:], v[4 * i + 3, lanes].reshape(-1))


@njit(cache=True, error_model="numpy")
def transform_adjoint(v, begin, planes):  # type: ignore[no-untyped-def]
    lines, _, _, wide, channels = planes.shape
    half = np.empty((2, wide * channels), planes.dtype)
    planes[...] = 0
    for line in range(lines - 1):
        place = begin + line * (wide - 1)
        lanes = slice(place, place + wide - 1)
        for i in range(4):
            _columns_adjoint(
                v[4 * i, lanes].reshape(-1), v[4 * i + 1, lanes].reshape(-1), v[4 * i + 2, lanes].reshape(-1),
                v[4 * i + 3, lanes].reshape(-1), channels, half[0], half[1],
            )  # fmt: skip
            for j in range(2):
                one, two = planes[line, 0, j].reshape(-1), planes[line, 1, j].reshape(-1)
                three, four = planes[line + 1, 0, j].reshape(-1), planes[line + 1, 1, j].reshape(-1)
                if i == 0:
                    add(half[j], one)
                    _subtract(half[j], three)
                elif i == 1:
                    add(half[j], two)
                    add(half[j], three)
                elif i == 2:
                    add(half[j], three)
                    _subtract(half[j], two)
                else:
                    add(half[j], two)
                    _subtract(half[j], four)


@njit(cache=True, error_model="numpy")
def _columns_adjoint(zero, one, two, three, channels, even, odd):  # type: ignore[no-untyped-def]
    run = len(zero)
    even[:channels], odd[run:] = 0, 0
    for p in range(run):
        even[channels + p] = one[p] + two[p] - zero[p]
    add(zero, even[:run])
    for p in range(run):
        odd[p] = one[p] - two[p] + three[p]
    _subtract(three, odd[channels:])


@njit(cache=True, error_model="numpy")
def undo(m, place, sums, four):  # type: ignore[no-untyped-def]
    """The four of a line of tiles are A^T m A, m (16, places, c) from `place` on; `sums` is room."""
    filters = m.shape[2]
    lanes = slice(place, place + four.shape[1] // filters)
    for j in range(4):
        _undo(
            m[j, lanes].reshape(-1), m[4 + j, lanes].reshape(-1), m[8 + j, lanes].reshape(-1),
            m[12 + j, lanes].reshape(-1), sums[j], sums[4 + j],
        )  # fmt: skip
    for i in range(2):
        _undo(sums[4 * i], sums[4 * i + 1], sums[4 * i + 2], sums[4 * i + 3], four[2 * i], four[2 * i + 1])


@njit(cache=True, error_model="numpy")
def _undo(zero, one, two, three, left, right):  # type: ignore[no-untyped-def]
    for p in range(len(left)):
        left[p] = zero[p] + one[p] + two[p]
    for p in range(len(left)):
        right[p] = one[p] - two[p] - three[p]


@njit(cache=True, error_model="numpy")
def undo_adjoint(four, place, sums, m):  # type: ignore[no-untyped-def]
    filters = m.shape[2]
    lanes = slice(place, place + four.shape[1] // filters)
    for j in range(2):
        _undo_adjoint(four[j], four[2 + j], sums[j], sums[2 + j], sums[4 + j], sums[6 + j])
    for i in range(4):
        _undo_adjoint(
            sums[2 * i], sums[2 * i + 1], m[4 * i, lanes].reshape(-1), m[4 * i + 1, lanes].reshape(-1),
            m[4 * i + 2, lanes].reshape(-1), m[4 * i + 3, lanes].reshape(-1),
        )  # fmt: skip


@njit(cache=True, error_model="numpy")
def _undo_adjoint(left, right, zero, one, two, three):  # type: ignore[no-untyped-def]
    for p in range(len(left)):
        zero[p], three[p] = left[p], -right[p]
    for p in range(len(left)):
        one[p], two[p] = left[p] + right[p], left[p] - right[p]


@njit(cache=True, error_model="numpy")
def put(four, line, y):  # type: ignore[no-untyped-def]
    """The four of a line of tiles into an image (h, w, c), what is beyond its edges left out."""
    high, wide, filters = y.shape
    for i in range(min(2, high - 2 * line)):
        for column in range(wide):
            given, to = four[2 * i + column % 2, column // 2 * filters :], y[2 * line + i, column]
            for c in range(filters):
                to[c] = given[c]


@njit(cache=True, error_model="numpy")
def put_adjoint(y, line, four):  # type: ignore[no-untyped-def]
    high, wide, filters = y.shape
    four[...] = 0
    for i in range(min(2, high - 2 * line)):
        for column in range(wide):
            to, given = four[2 * i + column % 2, column // 2 * filters :], y[2 * line + i, column]
            for c in range(filters):
                to[c] = given[c]


@njit(cache=True, error_model="numpy")
def spread(weights, out):  # type: ignore[no-untyped-def]
    """out (4, numbers) is G g of weights g (3, numbers)."""
    first, middle, last = weights[0], weights[1], weights[2]
    half = weights.dtype.type(0.5)
    out[0], out[3] = first, last
    for sign in range(2):
        to, factor = out[1 + sign], half if sign == 0 else -half
        for p in range(len(to)):
            to[p] = half * (first[p] + last[p]) + factor * middle[p]


@njit(cache=True, error_model="numpy")
def spread_adjoint(slopes, out):  # type: ignore[no-untyped-def]
    one, two = slopes[1], slopes[2]
    half = slopes.dtype.type(0.5)
    for p in range(len(one)):
        out[1, p] = half * (one[p] - two[p])
    for number in range(2):
        end, to = slopes[3 * number], out[2 * number]
        for p in range(len(one)):
            to[p] = end[p] + half * (one[p] + two[p])


@njit(cache=True, error_model="numpy")
def add(a, out):  # type: ignore[no-untyped-def]
    for p in range(len(out)):
        out[p] += a[p]


@njit(cache=True, error_model="numpy")
def _subtract(a, out):  # type: ignore[no-untyped-def]
    for p in range(len(out)):
        out[p] -= a[p]


@njit(cache=True, error_model="numpy")
def _plus(a, b, out):  # type: ignore[no-untyped-def]
    for p in range(len(out)):
        out[p] = a[p] + b[p]


@njit(cache=True, error_model="numpy")
def _minus(a, b, out):  # type: ignore[no-untyped-def]
    for p in range(len(out)):
        out[p] = a[p] - b[p]
