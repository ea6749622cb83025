"""How images become Winograd's transformed tiles, and these what a convolution gives; and the adjoints of both.

Lines and columns of an image are taken apart by what is left when they are divided by `step`, so that each number of a
line of tiles is one run of lanes, whatever its channels: `parts` (lines, step, step, columns, c) hold place
(step * y + i, step * x + j) at [y, i, j, x]. Every transform of a line of tiles is then a few sums of runs. `room` is
for what is between two of them.
"""

import numpy as np
from numba import njit

from hpcjobs.kernels import winograd
from hpcjobs.kernels.cpu.polynomials import evaluate, interpolate

A, B = winograd.A, winograd.B
A_T, B_T = A.T.copy(), B.T.copy()
PLACES, SIDE = winograd.PLACES, winograd.SIDE


@njit(cache=True, error_model="numpy")
def take_apart(x, top, left, parts):  # type: ignore[no-untyped-def]
    """The parts of an image x (h, w, c) from line `top` and column `left` on, zero beyond its edges."""
    lines, step, _, columns, channels = parts.shape
    for y in range(lines):
        for i in range(step):
            line = top + y * step + i
            for j in range(step):
                to, first = parts[y, i, j], left + j
                if not 0 <= line < len(x):
                    to[...] = 0
                    continue
                begin, end = _inside(first, step, columns, x.shape[1])
                to[:begin] = 0
                to[end:] = 0
                given = x[line]
                for column in range(begin, end):
                    at = first + column * step
                    for c in range(channels):
                        to[column, c] = given[at, c]


@njit(cache=True, error_model="numpy")
def add_back(parts, top, left, x):  # type: ignore[no-untyped-def]
    """The adjoint: parts are added to their places in x (h, w, c), those beyond its edges are left out."""
    lines, step, _, columns, channels = parts.shape
    for y in range(lines):
        for i in range(step):
            line = top + y * step + i
            if not 0 <= line < len(x):
                continue
            to = x[line]
            for j in range(step):
                given, first = parts[y, i, j], left + j
                begin, end = _inside(first, step, columns, x.shape[1])
                for column in range(begin, end):
                    at = first + column * step
                    for c in range(channels):
                        to[at, c] += given[column, c]


@njit(cache=True, error_model="numpy")
def _inside(first, step, columns, broad):  # type: ignore[no-untyped-def]
    """From which column on, and before which one, first + column * step is in a line of `broad` places."""
    begin = min(columns, max(0, (step - 1 - first) // step))
    return begin, max(begin, min(columns, (broad - first + step - 1) // step))


@njit(cache=True, error_model="numpy")
def _every(count, distance):  # type: ignore[no-untyped-def]
    return np.arange(count) * distance


@njit(cache=True, error_model="numpy")
def _six(distance, beyond):  # type: ignore[no-untyped-def]
    """Where the six places of tiles begin in planes: four of their own, and two of the next tile's."""
    return np.array([0, distance, 2 * distance, 3 * distance, beyond, beyond + distance])


@njit(cache=True, error_model="numpy")
def _runs(planes, v):  # type: ignore[no-untyped-def]
    """Numbers of a line of tiles in v and in half of the way there, and where the six of each begin on the way."""
    channels, line_of = planes.shape[4], planes[0, 0].size
    run = (planes.shape[3] - 1) * channels
    in_planes, in_half = _six(line_of, PLACES * line_of), _every(SIDE, line_of)
    return run, line_of, in_planes, in_half, _six(line_of // PLACES, channels), _every(SIDE, v[0].size)


@njit(cache=True, error_model="numpy")
def cut(x, top, left, tall, first, lines, planes, v, room):  # type: ignore[no-untyped-def]
    """v (36, places, c) is B d B^T of the tiles d of some lines of tiles, counted over all images."""
    (half, few), (run, line_of, in_planes, in_half, in_line, in_v) = room, _runs(planes, v)
    done = 0
    while done < lines:
        image, line = (first + done) // tall, (first + done) % tall
        some = min(lines - done, tall - line)
        take_apart(x[image], PLACES * line - top, -left, planes[: some + 1])
        for number in range(some):
            evaluate(B, planes[number:].reshape(-1), in_planes, half, in_half, line_of, few)
            for i in range(SIDE):
                to = v[SIDE * i :].reshape(-1)[(done + number) * run :]
                evaluate(B, half[i * line_of :], in_line, to, in_v, run, few)
        done += some


@njit(cache=True, error_model="numpy")
def cut_adjoint(v, top, left, tall, first, lines, planes, dx, room):  # type: ignore[no-untyped-def]
    (half, few), (run, line_of, in_planes, in_half, in_line, in_v) = room, _runs(planes, v)
    done = 0
    while done < lines:
        image, line = (first + done) // tall, (first + done) % tall
        some = min(lines - done, tall - line)
        planes[: some + 1] = 0
        for number in range(some):
            half[: SIDE * line_of] = 0
            for i in range(SIDE):
                given = v[SIDE * i :].reshape(-1)[(done + number) * run :]
                interpolate(B_T, given, in_v, half[i * line_of :], in_line, run, few, True)
            interpolate(B_T, half, in_half, planes[number:].reshape(-1), in_planes, line_of, few, True)
        add_back(planes[: some + 1], PLACES * line - top, -left, dx[image])
        done += some


@njit(cache=True, error_model="numpy")
def undo(m, place, tile, order, room):  # type: ignore[no-untyped-def]
    """The tile (16, columns * filters) of a line of tiles is A m A^T, m (36, places, filters) from `place` on."""
    (half, few), run = room, tile.shape[1]
    in_m, in_half, in_line = _every(SIDE, SIDE * m[0].size), _every(PLACES, SIDE * run), _every(SIDE, run)
    for j in range(SIDE):
        given = m[j:].reshape(-1)[place * m.shape[2] :]
        interpolate(A, given, in_m, half[j * run :], in_half, run, few, False)
    for i in range(PLACES):
        interpolate(A, half[i * SIDE * run :], in_line, tile.reshape(-1), order[i] * run, run, few, False)


@njit(cache=True, error_model="numpy")
def undo_adjoint(tile, order, place, m, room):  # type: ignore[no-untyped-def]
    (half, few), run = room, tile.shape[1]
    in_m, in_half, in_line = _every(SIDE, SIDE * m[0].size), _every(PLACES, SIDE * run), _every(SIDE, run)
    for i in range(PLACES):
        evaluate(A_T, tile.reshape(-1), order[i] * run, half[i * SIDE * run :], in_line, run, few)
    for j in range(SIDE):
        to = m[j:].reshape(-1)[place * m.shape[2] :]
        evaluate(A_T, half[j * run :], in_half, to, in_m, run, few)
