"""The k-means loops, defined.

**The arithmetic.** The squared distance of a row x and a centre c is the float64 sum, in feature order and
without contraction, of the float64 squares of the float64 differences x_f - c_f. The label of a row is the
centre with the smallest such sum, the lowest number on ties. Twins may filter with anything they can bound;
the labels are these.

**Exact sums.** A sum over rows adds integers: the term t becomes rint(t * scale), and where a second lane is
kept, rint((t * scale - rint(t * scale)) * low_scale). Integers add to the same total in any order, on any
number of ranks.
"""

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels.dispatch import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Labels = NDArray[np.int32]


@kernel
def extent(points: NDArray[np.generic], low: Floats, high: Floats, finite: NDArray[np.uint8]) -> None:
    """Smallest and largest value of each feature over the finite rows, and which rows are finite.

    points (rows, features); low, high (features,) are updated in place; finite (rows,) becomes 1, 0 for a row
    with a NaN, 2 for a row with an infinity.
    """
    values = points.astype(np.float64)
    finite[:] = np.where(np.isinf(values).any(axis=1), 2, np.where(np.isnan(values).any(axis=1), 0, 1))
    kept = values[finite == 1]
    if len(kept):
        np.minimum(low, kept.min(axis=0), out=low)
        np.maximum(high, kept.max(axis=0), out=high)


@kernel
def moments(
    points: NDArray[np.generic],
    shift: Floats,
    scale: Floats,
    root_scale: float,
    low_scale: float,
    sums: Integers,
) -> None:
    """Exact sums over rows of y = (x - shift) * scale and of (y * root_scale) ** 2, two lanes each.

    points (rows, features); shift, scale (features,); sums (4, features), added to: y high, y low, square
    high, square low. `root_scale` keeps the squares as far from overflow as the sums.
    """
    for row in points:
        y = row.astype(np.float64) - shift
        add(y * scale, low_scale, sums[0], sums[1])
        z = y * scale * root_scale
        add(z * z, low_scale, sums[2], sums[3])


@kernel
def assign(
    points: NDArray[np.generic],
    weights: Floats,
    centres: Floats,
    shift: Floats,
    scale: Floats,
    low_scale: float,
    mass_scale: float,
    labels: Labels,
    sums: Integers,
    masses: Integers,
) -> int:
    """Label every row by its nearest centre and add the rows up by label.

    points (rows, features); weights (rows,), or (0,) where every row weighs 1; centres (clusters, features);
    shift, scale (features,): row x enters the sums as weight * (x - shift). Written: labels (rows,); added
    to: sums (lanes, clusters, features) and masses (lanes, clusters), with 1 or 2 lanes. Returns how many
    rows the filter of a twin could not decide (0 here: this is the definition).
    """
    squared = np.stack([squares(points, centre) for centre in centres])  # (clusters, rows)
    labels[:] = np.argmin(squared, axis=0)  # the first of equals
    for row in range(len(points)):
        weight = weights[row] if len(weights) else 1.0
        label = labels[row]
        term = weight * (points[row].astype(np.float64) - shift) * scale
        add(term, low_scale, sums[0, label], sums[1, label] if len(sums) > 1 else None)
        mass = np.array(weight * mass_scale)
        add(
            mass,
            low_scale,
            masses[0, label : label + 1],
            masses[1, label : label + 1] if len(sums) > 1 else None,
        )
    return 0


@kernel
def squared_distances(points: NDArray[np.generic], centres: Floats, labels: Labels, out: Floats) -> None:
    """Squared distance of every row to the centre of its label. points (rows, features); out (rows,)."""
    out[:] = 0.0
    for feature in range(points.shape[1]):
        difference = points[:, feature].astype(np.float64) - centres[labels, feature]
        out += difference * difference


@kernel
def narrow(points: NDArray[np.generic], centre: Floats, closest: Floats) -> None:
    """Lower `closest` (rows,), in place, to the squared distance from one more centre (features,)."""
    np.minimum(closest, squares(points, centre), out=closest)


@kernel
def potentials(
    points: NDArray[np.generic],
    weights: Floats,
    candidates: Floats,
    closest: Floats,
    scale: float,
    sums: Integers,
) -> None:
    """What each candidate would leave: the exact sum of weight * min(closest, squared distance).

    points (rows, features); weights (rows,), or (0,) where every row weighs 1; candidates (trials, features);
    closest (rows,). Added to, in one lane: sums (trials,).
    """
    for trial, candidate in enumerate(candidates):
        left = np.minimum(closest, squares(points, candidate))
        if len(weights):
            left = weights * left
        sums[trial] += np.rint(left * scale).astype(np.int64).sum()


def squares(points: NDArray[np.generic], centre: Floats) -> Floats:
    """Squared distances (rows,) to one centre (features,)."""
    total = np.zeros(len(points))
    for feature in range(points.shape[1]):
        difference = points[:, feature].astype(np.float64) - centre[feature]
        total += difference * difference
    return total


def add(scaled: Floats, low_scale: float, high: Integers, low: Integers | None) -> None:
    """Add fixed-point terms (features,) to one or two lanes."""
    whole = np.rint(scaled)
    high += whole.astype(np.int64)
    if low is not None:
        low += np.rint((scaled - whole) * low_scale).astype(np.int64)
