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
# Unit roundoff of float32 and float64.
U32 = 2.0**-24
U64 = 2.0**-53


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
def moments(points, shift, scale, low_scale, sums):  # type: ignore[no-untyped-def]
    rows, features = points.shape
    for p in range(rows):
        for f in range(features):
            scaled = (np.float64(points[p, f]) - shift[f]) * scale[f]
            whole = np.rint(scaled)
            sums[0, f] += np.int64(whole)
            sums[1, f] += np.int64(np.rint((scaled - whole) * low_scale))
            z = scaled * 2.0**-31
            square = z * z
            whole = np.rint(square)
            sums[2, f] += np.int64(whole)
            sums[3, f] += np.int64(np.rint((square - whole) * low_scale))


@njit(cache=True, error_model="numpy")
def assign(  # type: ignore[no-untyped-def]
    points, weights, centres, shift, scale, low_scale, mass_scale, labels, sums, masses
):
    """Certified Lloyd assignment: a float32 GEMM proposes, a bound decides, float64 settles the rest.

    With y = (x - shift) * unit and c' = (c - shift) * unit (unit a power of two that brings all of them below 1), the
    score |c'|^2 / 2 - y.c' orders the centres like the distance does. Its float32 value is off by at most `slack`
    (Higham, "Accuracy and stability of numerical algorithms", 2nd ed., sections 3.1 and 3.5: gamma_d bounds a dot
    product in any order of summation). A row whose two best scores lie further apart than twice that is decided; for
    the others the centres within the bound are compared in the defined arithmetic.
    """
    rows, features = points.shape
    clusters = len(centres)
    lanes = len(sums)
    weighted = len(weights) > 0
    unit, moved, half_norms, longest = filter_centres(centres, shift, scale)
    gamma = (features + 4) * U32 / (1.0 - (features + 4) * U32)
    tile = np.zeros((TILE, features), dtype=np.float32)
    scores = np.empty((clusters, TILE), dtype=np.float32)
    best = np.empty(TILE, dtype=np.float32)
    second = np.empty(TILE, dtype=np.float32)
    nearest = np.empty(TILE, dtype=np.int32)
    term = np.empty(features, dtype=np.int64)
    rechecked = 0
    for start in range(0, rows, TILE):
        count = min(TILE, rows - start)
        for p in range(count):
            for f in range(features):
                tile[p, f] = np.float32((np.float64(points[start + p, f]) - shift[f]) * unit)
        np.dot(moved, tile.T, scores)
        two_best(half_norms, scores, best, second, nearest)
        for p in range(count):
            row = points[start + p]
            label = nearest[p]
            length = 1.01 * math.sqrt(square_norm(tile[p]))
            reach = length + longest
            slack = (
                1.02 * (gamma * length * longest + U32 * longest * longest)
                + 4 * (features + 4) * U64 * reach * reach
                + (features + 4) * 2.0**-120
            )
            if np.float64(second[p]) - np.float64(best[p]) <= 2 * slack:
                label = settle(row, centres, half_norms, scores, p, np.float64(best[p]) + 2 * slack)
                rechecked += 1
            labels[start + p] = label
            weight = weights[start + p] if weighted else 1.0
            add_row(row, weight, shift, scale, low_scale, term, sums[:, label])
            mass = weight * mass_scale
            whole = np.rint(mass)
            masses[0, label] += np.int64(whole)
            if lanes > 1:
                masses[1, label] += np.int64(np.rint((mass - whole) * low_scale))
    return rechecked


@njit(cache=True, error_model="numpy")
def filter_centres(centres, shift, scale):  # type: ignore[no-untyped-def]
    """Centres for the filter: shifted, scaled below 1, in float32, with half their squared norms."""
    clusters, features = centres.shape
    largest = 0.0
    for f in range(features):
        # scale * |x - shift| < 2**62 for every row, so this is above the largest row as well
        largest = max(largest, 2.0**62 / scale[f])
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
        longest = max(longest, 1.01 * math.sqrt(norm))
    return unit, moved, half_norms, longest


@njit(cache=True, error_model="numpy")
def two_best(half_norms, scores, best, second, nearest):  # type: ignore[no-untyped-def]
    """Smallest and second smallest score of each row of a tile, vectorised over rows. scores (clusters, TILE)."""
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
        if np.float64(half_norms[j] - scores[j, p]) <= limit:
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
def add_row(row, weight, shift, scale, low_scale, term, sums):  # type: ignore[no-untyped-def]
    """Add one fixed-point row to sums (lanes, features); `term` is scratch that keeps the loops vectorised."""
    for f in range(len(row)):
        term[f] = np.int64(np.rint(weight * (np.float64(row[f]) - shift[f]) * scale[f]))
    for f in range(len(row)):
        sums[0, f] += term[f]
    if len(sums) > 1:
        for f in range(len(row)):
            scaled = weight * (np.float64(row[f]) - shift[f]) * scale[f]
            term[f] = np.int64(np.rint((scaled - np.rint(scaled)) * low_scale))
        for f in range(len(row)):
            sums[1, f] += term[f]


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
def closer(points, candidates, closest, out):  # type: ignore[no-untyped-def]
    rows, features = points.shape
    lanes = np.empty((features, TILE))
    total = np.empty(TILE)
    for start in range(0, rows, TILE):
        count = min(TILE, rows - start)
        for p in range(count):
            for f in range(features):
                lanes[f, p] = np.float64(points[start + p, f])
        for trial in range(len(candidates)):
            total[:] = 0.0
            for f in range(features):
                c = candidates[trial, f]
                for p in range(count):
                    difference = lanes[f, p] - c
                    total[p] += difference * difference
            for p in range(count):
                out[trial, start + p] = min(closest[start + p], total[p])
