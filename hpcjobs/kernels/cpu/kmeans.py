"""Numba twins of the k-means kernels: one core, points as vector lanes, one BLAS thread per tile."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Labels = NDArray[np.int32]

# Rows a tile: the scores (clusters x TILE float32) and the tile itself stay in the second-level cache.
TILE = 512
# Rows a strip, where rows are turned into columns; their stride is no power of two, which would fill one
# cache set.
STRIP = 64
STRIDE = STRIP + 8
# Unit roundoff of float32 and float64.
U32 = 2.0**-24
U64 = 2.0**-53
# The filter bounds nothing for rows longer than this: every row is settled.
MOST_FEATURES = 2**18
# Differences below this have squares whose sum over the features float64 can hold.
OVERFLOWS = 2.0**500


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
    """Certified Lloyd assignment: a float32 GEMM proposes, a bound decides, float64 settles the rest.

    With y = (x - shift) * unit and c' = (c - shift) * unit (unit a power of two that brings all of them below
    1), the score |c'|^2 / 2 - y.c' orders the centres like the distance does. Its float32 value is off by at
    most `slack` (Higham, "Accuracy and stability of numerical algorithms", 2nd ed., sections 3.1 and 3.5:
    gamma_d bounds a dot product in any order of summation). A row whose two best scores lie further apart
    than twice that is decided; for the others the centres within the bound are compared in the defined
    arithmetic.
    """
    rows, features = points.shape
    clusters = len(centres)
    # scale brings weight * (x - shift) below low_scale, mass_scale the largest weight into its upper half
    reach = 2.0 * (mass_scale if len(weights) else low_scale) / scale
    unit, moved, half_norms, longest, floor = filter_centres(centres, shift, reach)
    gamma = (features + 4) * U32 / (1.0 - (features + 4) * U32) if features <= MOST_FEATURES else np.inf
    tile = np.zeros((TILE, features), dtype=np.float32)
    scores = np.empty((clusters, TILE), dtype=np.float32)
    best = np.empty(TILE, dtype=np.float32)
    second = np.empty(TILE, dtype=np.float32)
    nearest = np.empty(TILE, dtype=np.int32)
    rechecked = 0
    for start in range(0, rows, TILE):
        count = min(TILE, rows - start)
        for p in range(count):
            for f in range(features):
                tile[p, f] = np.float32((np.float64(points[start + p, f]) - shift[f]) * unit)
        np.dot(moved, tile.T, scores)
        two_best(half_norms, scores, best, second, nearest)
        for p in range(count):
            label = nearest[p]
            length = square_root_above(square_norm(tile[p]), features)
            between = length + longest
            slack = (
                1.02 * (gamma * length * longest + U32 * longest * longest)
                + 4 * (features + 4) * U64 * between * between
                + floor
            )
            if not np.float64(second[p]) - np.float64(best[p]) > 2 * slack:
                limit = np.float64(best[p]) + 2 * slack
                label = settle(points[start + p], centres, half_norms, scores, p, limit)
                rechecked += 1
            labels[start + p] = label
        add_rows(points, weights, start, count, shift, scale, low_scale, mass_scale, labels, sums, masses)
    return rechecked


@njit(cache=True, error_model="numpy")
def filter_centres(centres, shift, reach):  # type: ignore[no-untyped-def]
    """Centres for the filter: shifted, scaled below 1, in float32, with half their squared norms.

    reach (features,): no row lies further from `shift`.

    Also the length of the longest, and what underflow can add to the error of a score: 2**-126 for each
    float32 operation where denormals are flushed, and 2**-1074 / unit**2 for each square of the defined
    arithmetic. It is infinite where squares might overflow, so that every row is settled there.
    """
    clusters, features = centres.shape
    largest = reach.max()
    for f in range(features):
        for j in range(clusters):
            largest = max(largest, abs(centres[j, f] - shift[f]))
    unit = 2.0 ** -math.ceil(math.log2(largest) + 1)
    moved = np.empty((clusters, features), dtype=np.float32)
    half_norms = np.empty(clusters, dtype=np.float32)
    longest = 0.0
    for j in range(clusters):
        norm = 0.0
        for f in range(features):
            y = (centres[j, f] - shift[f]) * unit
            moved[j, f] = np.float32(y)
            norm += y * y
        half_norms[j] = np.float32(0.5 * norm)
        longest = max(longest, square_root_above(norm, features))
    floor = (features + 4) * (2.0**-120 + unit * (unit * 2.0**-1074)) if largest < OVERFLOWS else np.inf
    return unit, moved, half_norms, longest, floor


@njit(cache=True, error_model="numpy")
def square_root_above(norm, features):  # type: ignore[no-untyped-def]
    """A bound of the length whose rounded square is `norm`, even where squares of float32 underflowed."""
    return 1.01 * math.sqrt(norm + features * 2.0**-120)


@njit(cache=True, error_model="numpy")
def two_best(half_norms, scores, best, second, nearest):  # type: ignore[no-untyped-def]
    """Smallest and second smallest score of each row of a tile, rows as lanes. scores (clusters, TILE)."""
    best[:] = np.inf
    second[:] = np.inf
    for j in range(len(half_norms)):
        half = half_norms[j]
        number = np.int32(j)
        for p in range(TILE):
            score = half - scores[j, p]
            leader = best[p]
            second[p] = min(second[p], max(score, leader))
            nearest[p] = number if score < leader else nearest[p]
            best[p] = min(score, leader)


@njit(cache=True, error_model="numpy")
def settle(row, centres, half_norms, scores, p, limit):  # type: ignore[no-untyped-def]
    """The nearest centre in the defined arithmetic among those whose score is within `limit`."""
    winner = 0
    least = np.inf
    for j in range(len(centres)):
        if not np.float64(half_norms[j] - scores[j, p]) > limit:
            total = 0.0
            for f in range(len(row)):
                difference = np.float64(row[f]) - centres[j, f]
                total += difference * difference
            if total < least:
                least = total
                winner = j
    return np.int32(winner)


@njit(cache=True, error_model="numpy", fastmath={"reassoc", "nsz"})
def square_norm(row):  # type: ignore[no-untyped-def]
    """Squared length of a float32 row; its last bits do not matter (it only enters a bound)."""
    total = np.float32(0)
    for f in range(len(row)):
        total += row[f] * row[f]
    return np.float64(total)


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
