"""Numba twins of the k-means assignment that starts from one before it.

Three things spare work, and none of them changes a label. A row whose distance to its centre is surely smaller than
that to any other keeps its label (G. Hamerly, "Making k-means even faster", SDM 2010), as does one that is nearer to
its centre than half the way from there to the next (C. Elkan, "Using the triangle inequality to accelerate k-means",
ICML 2003). The rows that are left are gathered by label, and compared only with the centres that lie within twice
their distance of their own (J. Newling and F. Fleuret, "Fast k-means with accurate bounds", ICML 2016). Where that
would leave most of the work, all rows are compared with all centres.
"""

import math

import numpy as np
from numba import njit

from hpcjobs.kernels.cpu.filtering import TILE, make_filter, make_tile, nearest
from hpcjobs.kernels.cpu.kmeans import reach_of

# Rows that are gathered by label at a time, at least, and for each cluster.
CHUNK = 2**16
CHUNK_OF_CLUSTER = 512
LONGEST = 1e30  # the largest bound that is kept
FEW = 0.4  # of all distances: more are not worth the gathering


@njit(cache=True, error_model="numpy")
def between(centres, unit, apart):  # type: ignore[no-untyped-def]
    above, tiny = rounding(centres.shape[1], unit)
    for i in range(len(centres)):
        apart[i, i] = 0.0
        for j in range(i):
            apart[i, j] = below_single(distance(centres[i], centres[j]) * unit / above - tiny)
            apart[j, i] = apart[i, j]


@njit(cache=True, error_model="numpy")
def reassign(  # type: ignore[no-untyped-def]
    points, weights, centres, moved, apart, unit, shift, scale, low_scale, mass_scale,
    labels, upper, lower, sums, masses, bounded, keep,
):  # fmt: skip
    rows, features = points.shape
    clusters = len(centres)
    ready = make_filter(centres, shift, reach_of(weights, scale, low_scale, mass_scale))
    gap = next_centre(apart)
    tile = make_tile(clusters, features)
    most = max(1, min(rows, max(CHUNK, CHUNK_OF_CLUSTER * clusters)))
    active, order = np.empty(most, dtype=np.int64), np.empty(most, dtype=np.int64)
    starts = np.zeros(clusters + 1, dtype=np.int64)
    numbers, small = np.empty(clusters, dtype=np.int32), np.empty((clusters, features), dtype=np.float32)
    half_norms = np.empty(clusters, dtype=np.float32)
    compared = 0
    for begin in range(0, rows, most):
        end = min(rows, begin + most)
        dense = True
        if bounded:
            count = unsettled(points, centres, moved, gap, unit, labels, upper, lower, begin, end, active)
            by_label(active[:count], labels, starts, order)
            dense = work(apart, starts, order, upper) > FEW * (end - begin) * clusters
        elif keep:
            upper[begin:end], lower[begin:end] = np.inf, 0.0
        if dense:  # one group of all rows, and all centres
            order[: end - begin] = np.arange(begin, end)
            starts[1:] = end - begin
            numbers[:], small[:], half_norms[:] = np.arange(clusters), ready.small, ready.half_norms
        within, outside = clusters, LONGEST
        for label in range(clusters):
            for at in range(starts[label], starts[label + 1], TILE):
                some = order[at : min(at + TILE, starts[label + 1])]
                if not dense:
                    radius = 2.1 * farthest(some, upper)
                    within, outside = gather(apart[label], radius, ready, numbers, small, half_norms)
                compared += within * len(some)
                nearest(
                    points, some, shift, centres, numbers[:within], small[:within], half_norms[:within], ready, tile
                )
                if keep:
                    renew(some, ready, features, unit, outside, labels, upper, lower, tile)
                move(points, weights, some, shift, scale, low_scale, mass_scale, labels, sums, masses, tile)
    return compared


@njit(cache=True, error_model="numpy")
def rounding(features, unit):  # type: ignore[no-untyped-def]
    """What a distance is multiplied by, and what is added, so that it bounds what the defined arithmetic compares.

    The second also covers squares that underflow, and bounds that are kept in float32.
    """
    return 1.0 + (features + 16) * 2.0**-51, 2.0**-100 + unit * math.sqrt(features) * 2.0**-535


@njit(cache=True, error_model="numpy")
def next_centre(apart):  # type: ignore[no-untyped-def]
    """At most the distance of each centre (clusters,) to the next."""
    gap = np.full(len(apart), LONGEST)
    for i in range(len(apart)):
        for j in range(len(apart)):
            if i != j:
                gap[i] = min(gap[i], np.float64(apart[i, j]))
    return gap


@njit(cache=True, error_model="numpy")
def unsettled(  # type: ignore[no-untyped-def]
    points, centres, moved, gap, unit, labels, upper, lower, begin, end, active
):
    """Rows whose label may change, into `active`; bounds become those for the new centres. Returns how many rows."""
    above, tiny = rounding(points.shape[1], unit)
    first, second, place = two_largest(moved)
    count = 0
    for p in range(begin, end):
        label = labels[p]
        far = np.float64(upper[p]) + moved[label]
        others = np.float64(lower[p]) - (second if label == place else first)
        if not far * above < max(others, gap[label] - far):
            far = distance(points[p], centres[label]) * unit * above + tiny
        others = max(others, gap[label] - far)
        upper[p] = above_single(far)
        lower[p] = below_single(others)
        if not far * above < others:
            active[count] = p
            count += 1
    return count


@njit(cache=True, error_model="numpy")
def by_label(active, labels, starts, order):  # type: ignore[no-untyped-def]
    """The rows of `active` by label, into `order`: those of label j from starts[j] to starts[j + 1]."""
    starts[:] = 0
    for p in active:
        starts[labels[p] + 1] += 1
    for label in range(len(starts) - 1):
        starts[label + 1] += starts[label]
    for p in active:
        order[starts[labels[p]]] = p
        starts[labels[p]] += 1
    for label in range(len(starts) - 1, 0, -1):
        starts[label] = starts[label - 1]
    starts[0] = 0


@njit(cache=True, error_model="numpy")
def work(apart, starts, order, upper):  # type: ignore[no-untyped-def]
    """How many distances are to be worked out for the rows in `order`, about."""
    total = 0
    for label in range(len(apart)):
        count = starts[label + 1] - starts[label]
        if count:
            radius = 2.1 * farthest(order[starts[label] : starts[label + 1]], upper)
            for j in range(len(apart)):
                total += 0 if apart[label, j] > radius else count
    return total


@njit(cache=True, error_model="numpy")
def farthest(some, upper):  # type: ignore[no-untyped-def]
    """The largest `upper` of some rows."""
    radius = np.float32(0)
    for p in some:
        radius = max(radius, upper[p])
    return np.float64(radius)


@njit(cache=True, error_model="numpy")
def gather(apart, radius, ready, numbers, small, half_norms):  # type: ignore[no-untyped-def]
    """The centres of the filter within `radius`, in the order of their numbers: how many, and how far the next is."""
    within, outside = 0, LONGEST
    for j in range(len(apart)):
        if apart[j] > radius:
            outside = min(outside, np.float64(apart[j]))
        else:
            numbers[within] = j
            small[within] = ready.small[j]
            half_norms[within] = ready.half_norms[j]
            within += 1
    return within, outside


@njit(cache=True, error_model="numpy")
def renew(some, ready, features, unit, outside, labels, upper, lower, tile):  # type: ignore[no-untyped-def]
    """Bounds of the rows of a tile from their scores; what was not compared lies `outside` of it or farther."""
    count, ratio = len(some), np.float32(unit / ready.unit)
    above, tiny = rounding(features, unit)
    shrink = np.float32((1 - 2.0**-20) / above)
    loose = np.float32(1 + 2 * ready.gamma + 2.0**-20)
    scored(
        loose, ratio / shrink, ratio * shrink, np.float32(2 * tiny),
        tile.squares[:count], tile.best[:count], tile.second[:count], tile.slack[:count], tile.near, tile.beyond,
    )  # fmt: skip
    apart = np.float32(outside)
    for p in range(count):
        row = some[p]
        beyond = min((apart - upper[row]) * shrink, tile.beyond[p])
        far = tile.near[p]
        if tile.found[p] == labels[row]:  # what was known before still holds
            beyond, far = max(beyond, lower[row]), min(far, upper[row])
        lower[row], upper[row] = beyond if beyond > 0 else np.float32(0), far


@njit(cache=True, error_model="numpy")
def scored(loose, grow, shrink, tiny, squares, best, second, slack, near, beyond):  # type: ignore[no-untyped-def]
    """Distances from scores, rows as lanes, by |y - c'|^2 = |y|^2 + 2 score.

    Outwards by the error of a score, and as much again for what float32 rounds here. Where two scores are too near to
    each other either may be that of the label.
    """
    zero, infinite, sure, either = np.float32(0), np.float32(np.inf), np.float32(2), np.float32(5)
    for p in range(len(best)):
        doubt = not second[p] - best[p] > np.float32(2.02) * slack[p]
        most = squares[p] * loose + 2 * (best[p] + (either if doubt else sure) * slack[p])
        least = squares[p] / loose + 2 * ((best[p] if doubt else second[p]) - sure * slack[p])
        root = np.sqrt(most if most > zero else zero) * grow + tiny
        near[p] = root if most < infinite and root < infinite else infinite
        root = np.sqrt(least if least > zero else zero) * shrink - tiny
        beyond[p] = root if least < infinite and root < infinite else zero


@njit(cache=True, error_model="numpy")
def move(points, weights, some, shift, scale, low_scale, mass_scale, labels, sums, masses, tile):  # type: ignore[no-untyped-def]
    """Take the rows of a tile that were found to be nearer to another centre from one cluster to the other."""
    two_lanes = len(sums) > 1
    for place in range(len(some)):
        p, found = some[place], tile.found[place]
        label = labels[p]
        if found == label:
            continue
        labels[p] = found
        weight = weights[p] if len(weights) else 1.0
        mass = weight * mass_scale
        whole = np.rint(mass)
        masses[0, label] -= np.int64(whole)
        masses[0, found] += np.int64(whole)
        if two_lanes:
            rest = np.int64(np.rint((mass - whole) * low_scale))
            masses[1, label] -= rest
            masses[1, found] += rest
        for f in range(len(shift)):
            scaled = weight * (np.float64(points[p, f]) - shift[f]) * scale[f]
            whole = np.rint(scaled)
            sums[0, label, f] -= np.int64(whole)
            sums[0, found, f] += np.int64(whole)
            if two_lanes:
                rest = np.int64(np.rint((scaled - whole) * low_scale))
                sums[1, label, f] -= rest
                sums[1, found, f] += rest


@njit(cache=True, error_model="numpy", fastmath={"reassoc", "nsz"})
def distance(row, centre):  # type: ignore[no-untyped-def]
    """The distance of two points; its last bits do not matter (it only enters bounds)."""
    total = 0.0
    for f in range(len(centre)):
        difference = np.float64(row[f]) - centre[f]
        total += difference * difference
    return math.sqrt(total)


@njit(cache=True, error_model="numpy")
def two_largest(moved):  # type: ignore[no-untyped-def]
    """The largest, the next and the place of the largest of some values."""
    first, second, place = 0.0, 0.0, -1
    for j in range(len(moved)):
        if not moved[j] <= first:
            first, second, place = moved[j], first, j
        else:
            second = max(second, moved[j])
    return first, second, place


@njit(cache=True, error_model="numpy")
def above_single(value):  # type: ignore[no-untyped-def]
    """A float32 that is not below `value`."""
    return np.float32(value * (1 + 2.0**-22))


@njit(cache=True, error_model="numpy")
def below_single(value):  # type: ignore[no-untyped-def]
    """A float32 that is not above `value`, 0 at least; 0 for what is no number or infinite."""
    return np.float32(min(value, LONGEST) * (1 - 2.0**-22)) if 0 < value < np.inf else np.float32(0)
