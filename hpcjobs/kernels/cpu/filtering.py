"""How the twins of k-means find the nearest centre: a float32 GEMM proposes, a bound decides, float64 settles the rest.

With y = (x - shift) * unit and c' = (c - shift) * unit (unit a power of two that brings all of them below 1), the score
|c'|^2 / 2 - y.c' orders the centres like the distance does. Its float32 value is off by at most `slack` (Higham,
"Accuracy and stability of numerical algorithms", 2nd ed., sections 3.1 and 3.5: gamma_d bounds a dot product in any
order of summation). A row whose two best scores lie further apart than twice that is decided; for the others the
centres within the bound are compared in the defined arithmetic.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

# Rows a tile: the scores (clusters x TILE float32) and the tile itself stay in the second-level cache.
TILE = 512
LANES = 16  # tiles that are not full are filled up to a multiple of this
# Unit roundoff of float32 and float64.
U32 = 2.0**-24
U64 = 2.0**-53
# The filter bounds nothing for rows longer than this: every row is settled.
MOST_FEATURES = 2**18
# Differences below this have squares whose sum over the features float64 can hold.
OVERFLOWS = 2.0**500


class Filter(NamedTuple):
    """Centres as the filter takes them, and what bounds the error of its scores.

    small (clusters, features), half_norms (clusters,): shifted, scaled by `unit`, in float32, and half their squared
    lengths; longest: the length of the longest; floor: what underflow can add to the error of a score: 2**-126 for each
    float32 operation where denormals are flushed, and 2**-1074 / unit**2 for each square of the defined arithmetic. It
    is infinite where squares might overflow, so that every row is settled there.
    """

    unit: float
    small: Singles
    half_norms: Singles
    longest: float
    gamma: float
    floor: float


class Tile(NamedTuple):
    """Room for a tile of rows, and what is found of each: the two best scores, the length, and the error of a score."""

    rows: Singles  # (TILE, features)
    scores: Singles  # (clusters * TILE,)
    best: Singles
    second: Singles
    place: NDArray[np.int32]  # of the best among the centres that were compared
    squares: Singles
    slack: Singles
    found: NDArray[np.int32]  # the nearest centre
    near: Singles  # at least the distance to it
    beyond: Singles  # at most that to any other of those compared


@njit(cache=True, error_model="numpy")
def make_tile(clusters, features):  # type: ignore[no-untyped-def]
    return Tile(
        np.zeros((TILE, features), dtype=np.float32),
        np.empty(clusters * TILE, dtype=np.float32),
        np.empty(TILE, dtype=np.float32),
        np.empty(TILE, dtype=np.float32),
        np.empty(TILE, dtype=np.int32),
        np.zeros(TILE, dtype=np.float32),
        np.empty(TILE, dtype=np.float32),
        np.empty(TILE, dtype=np.int32),
        np.empty(TILE, dtype=np.float32),
        np.empty(TILE, dtype=np.float32),
    )


@njit(cache=True, error_model="numpy")
def make_filter(centres, shift, reach):  # type: ignore[no-untyped-def]
    """The filter of centres (clusters, features); reach (features,): no row lies further from `shift`."""
    clusters, features = centres.shape
    largest = reach.max()
    for f in range(features):
        for j in range(clusters):
            largest = max(largest, abs(centres[j, f] - shift[f]))
    unit = 2.0 ** -math.ceil(math.log2(largest) + 1)
    small = np.empty((clusters, features), dtype=np.float32)
    half_norms = np.empty(clusters, dtype=np.float32)
    longest = 0.0
    for j in range(clusters):
        norm = 0.0
        for f in range(features):
            y = (centres[j, f] - shift[f]) * unit
            small[j, f] = np.float32(y)
            norm += y * y
        half_norms[j] = np.float32(0.5 * norm)
        longest = max(longest, length_above(norm, features))
    gamma = (features + 4) * U32 / (1.0 - (features + 4) * U32) if features <= MOST_FEATURES else np.inf
    floor = (features + 4) * (2.0**-120 + unit * (unit * 2.0**-1074)) if largest < OVERFLOWS else np.inf
    return Filter(unit, small, half_norms, longest, gamma, floor)


@njit(cache=True, error_model="numpy")
def length_above(norm, features):  # type: ignore[no-untyped-def]
    """A bound of the length whose rounded square is `norm`, even where squares of float32 underflowed."""
    return 1.01 * math.sqrt(norm + features * 2.0**-120)


@njit(cache=True, error_model="numpy")
def nearest(points, some, shift, centres, numbers, small, half_norms, ready, tile):  # type: ignore[no-untyped-def]
    """The nearest of some centres to each row of a tile, into `tile.found`. Returns how many rows had to be settled.

    some (n,): which rows of points; numbers (m,), ascending: which centres small (m, features) and half_norms (m,) are
    of. All of them are in the filter `ready`.
    """
    count, features = len(some), points.shape[1]
    scale_rows(points, some, shift, ready.unit, tile.rows)
    square_norms(tile.rows, count, tile.squares)
    width = -(-count // LANES) * LANES
    scores = tile.scores[: len(numbers) * width].reshape(len(numbers), width)
    np.dot(small, tile.rows[:width].T, scores)
    two_best(half_norms, scores, tile.best[:width], tile.second[:width], tile.place[:width])
    errors(ready, features, tile.squares[:width], tile.slack[:width])
    number(numbers, tile.place, count, tile.found)
    settled = 0
    for p in doubtful(tile.best[:count], tile.second[:count], tile.slack[:count]):
        limit = np.float64(tile.best[p]) + 2 * np.float64(tile.slack[p])
        tile.found[p] = settle(points[some[p]], centres, numbers, half_norms, scores, p, limit)
        settled += 1
    return settled


# The loops below are functions of plain arrays, which is what lets them be vectorised.


@njit(cache=True, error_model="numpy")
def scale_rows(points, some, shift, unit, rows):  # type: ignore[no-untyped-def]
    for p in range(len(some)):
        number = some[p]
        for f in range(points.shape[1]):
            rows[p, f] = np.float32((np.float64(points[number, f]) - shift[f]) * unit)


@njit(cache=True, error_model="numpy", fastmath={"reassoc", "nsz"})
def square_norms(rows, count, squares):  # type: ignore[no-untyped-def]
    """Squared lengths of float32 rows; their last bits do not matter (they only enter bounds)."""
    for p in range(count):
        total = np.float32(0)
        for f in range(rows.shape[1]):
            total += rows[p, f] * rows[p, f]
        squares[p] = total


@njit(cache=True, error_model="numpy")
def number(numbers, place, count, found):  # type: ignore[no-untyped-def]
    for p in range(count):
        found[p] = numbers[place[p]]


@njit(cache=True, error_model="numpy")
def doubtful(best, second, slack):  # type: ignore[no-untyped-def]
    """The rows whose best two scores are too near to each other, or are no numbers."""
    count = 0
    for p in range(len(best)):
        count += not second[p] - best[p] > np.float32(2.01) * slack[p]
    found = np.empty(count, dtype=np.int64)
    if count:
        at = 0
        for p in range(len(best)):
            if not second[p] - best[p] > np.float32(2.01) * slack[p]:
                found[at] = p
                at += 1
    return found


@njit(cache=True, error_model="numpy")
def errors(ready, features, squares, slack):  # type: ignore[no-untyped-def]
    """A bound of the error of the scores of each row of a tile, in float32: 1.03 leaves room for its rounding."""
    longest = ready.longest
    linear = np.float32(1.03 * ready.gamma * longest * 1.01)
    constant = np.float32(1.03 * (U32 * longest * longest + ready.floor))
    twofold = np.float32(1.03 * 4 * (features + 4) * U64)
    root, whole, least = np.float32(1.01), np.float32(longest), np.float32(features * 2.0**-120)
    for p in range(len(slack)):
        length = np.sqrt(squares[p] + least)
        between = root * length + whole
        slack[p] = linear * length + constant + twofold * between * between


@njit(cache=True, error_model="numpy")
def two_best(half_norms, scores, best, second, place):  # type: ignore[no-untyped-def]
    """Smallest and second smallest score of each row of a tile, rows as lanes. scores (centres, rows)."""
    best[:] = np.inf
    second[:] = np.inf
    for j in range(len(half_norms)):
        half = half_norms[j]
        number = np.int32(j)
        for p in range(len(best)):
            score = half - scores[j, p]
            leader = best[p]
            second[p] = min(second[p], max(score, leader))
            place[p] = number if score < leader else place[p]
            best[p] = min(score, leader)


@njit(cache=True, error_model="numpy")
def settle(row, centres, numbers, half_norms, scores, p, limit):  # type: ignore[no-untyped-def]
    """The nearest centre in the defined arithmetic among those whose score is within `limit`."""
    winner = numbers[0]
    least = np.inf
    for i in range(len(numbers)):
        if not np.float64(half_norms[i] - scores[i, p]) > limit:
            j = numbers[i]
            total = 0.0
            for f in range(len(row)):
                difference = np.float64(row[f]) - centres[j, f]
                total += difference * difference
            if total < least:
                least = total
                winner = j
    return winner
