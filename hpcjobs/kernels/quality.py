"""How well clusters are told apart: the loops over rows."""

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels.dispatch import kernel

Floats = NDArray[np.float64]
Labels = NDArray[np.int32]


@kernel
def second_nearest(
    points: NDArray[np.generic], centres: Floats, occupied: NDArray[np.uint8], labels: Labels, out: Floats
) -> None:
    """Squared distance of every row to the nearest centre that is not its own.

    points (rows, features); centres (clusters, features); occupied (clusters,): 0 for a centre that does not count;
    labels, out (rows,). Infinite where there is no other centre. Summed in feature order.
    """
    out[:] = np.inf
    for number, centre in enumerate(centres):
        total = np.zeros(len(points))
        for feature in range(points.shape[1]):
            difference = points[:, feature].astype(np.float64) - centre[feature]
            total += difference * difference
        if occupied[number]:
            np.minimum(out, np.where(labels == number, np.inf, total), out=out)


@kernel
def distance_sums(rows: Floats, every: Floats, labels: Labels, sums: Floats) -> None:
    """Sum of the distances of some rows to all rows of each cluster, added in the order of these.

    rows (some, features); every (rows, features); labels (rows,), below 0 for one that does not count; written: sums
    (some, clusters).
    """
    sums[...] = 0.0
    for other, label in zip(every, labels, strict=True):
        if label >= 0:
            total = np.zeros(len(rows))
            for feature in range(rows.shape[1]):
                difference = rows[:, feature] - other[feature]
                total += difference * difference
            sums[:, label] += np.sqrt(total)
