"""The assignment of k-means from an assignment before it, defined.

Rows whose bounds show that their label stays need not be looked at, and sums change only by the rows that change
cluster: integers, so that what is taken away is what was added. Labels and sums are those of `kmeans.assign`.
"""

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels.dispatch import kernel
from hpcjobs.kernels.kmeans import Floats, Integers, Labels, add, squares

Singles = NDArray[np.float32]


@kernel
def between(centres: Floats, unit: float, apart: Singles) -> None:
    """At most the distance of each two centres (clusters, features), times `unit`: apart (clusters, clusters)."""
    for centre, row in zip(centres, apart, strict=True):
        row[:] = _below(np.sqrt(squares(centres, centre)) * unit)


@kernel
def reassign(
    points: NDArray[np.generic],
    weights: Floats,
    centres: Floats,
    moved: Floats,
    apart: Singles,
    unit: float,
    shift: Floats,
    scale: Floats,
    low_scale: float,
    mass_scale: float,
    labels: Labels,
    upper: Singles,
    lower: Singles,
    sums: Integers,
    masses: Integers,
    bounded: bool,
    keep: bool,
) -> int:
    """Label every row by its nearest centre again, after the centres have moved, and correct the sums of clusters.

    As in `kmeans.assign`: points (rows, features), weights, centres (clusters, features), shift, scale, sums, masses.
    moved (clusters,): at least how far each centre has moved since the labels and bounds were right; apart (clusters,
    clusters): what `between` says of the centres. Distances are multiplied by `unit`, a power of two. Written: labels
    (rows,), each of some cluster before; upper (rows,), at least the distance of each row to its centre; lower (rows,),
    at most that to any other. `bounded`: they were right before, and may be used; else `apart` may be of no centres.
    `keep`: leave them right. Returns how many of the rows * clusters distances were worked out.
    """
    squared = np.stack([squares(points, centre) for centre in centres])  # (clusters, rows)
    before = labels.copy()
    labels[:] = np.argmin(squared, axis=0)  # the first of equals
    for row in np.flatnonzero(labels != before):
        weight = weights[row] if len(weights) else 1.0
        term = weight * (points[row].astype(np.float64) - shift) * scale
        change, mass = np.zeros((2, len(shift)), dtype=np.int64), np.zeros((2, 1), dtype=np.int64)
        add(term, low_scale, *change)
        add(np.array([weight * mass_scale]), low_scale, *mass)
        for label, sign in ((before[row], -1), (labels[row], 1)):
            sums[:, label] += sign * change[: len(sums)]
            masses[:, label] += sign * mass[: len(masses), 0]
    distances = np.sqrt(squared) * unit
    rows = np.arange(len(points))
    upper[:] = np.nextafter(distances[labels, rows].astype(np.float32), np.float32(np.inf))
    distances[labels, rows] = np.inf
    lower[:] = _below(distances.min(axis=0))
    return squared.size


def _below(values: Floats) -> Singles:
    """Values in float32, rounded down; finite."""
    found: Singles = np.nextafter(np.minimum(values, 1e30).astype(np.float32), np.float32(0))
    return found
