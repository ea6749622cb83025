"""Rows made comparable: features scaled, rows brought to unit length; and order statistics of what they hold."""

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels.dispatch import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@kernel
def rescale(points: NDArray[np.generic], offset: Floats, factor: Floats, unit: bool, out: NDArray[np.generic]) -> None:
    """Write (x - offset) / factor, brought to length 1 with `unit`, as the type of `out`; a row of zeros stays one.

    points, out (rows, features), which may be the same array; offset, factor (features,). All arithmetic is float64:
    a row is divided by its largest magnitude first, so that squares neither overflow nor vanish, and its squared length
    is summed in feature order, so that the bits are the same on every CPU.
    """
    values = (points.astype(np.float64) - offset) / factor
    if unit:
        largest = np.abs(values).max(axis=1, initial=0.0)
        values /= np.where(largest > 0, largest, 1.0)[:, None]
        squares = np.zeros(len(points))
        for feature in range(points.shape[1]):
            squares += values[:, feature] * values[:, feature]
        values /= np.where(squares > 0, np.sqrt(squares), 1.0)[:, None]
    out[...] = values


@kernel
def digit_counts(points: NDArray[np.generic], prefixes: NDArray[np.uint64], shift: int, counts: Integers) -> None:
    """Count, for radix selection, the next byte of the keys that begin with a prefix.

    points (rows, features); prefixes (selections, features): the bits of a key above `shift` + 8; added to: counts
    (selections, features, 256). A key orders float64 values as integers: the bits of a value that is not negative with
    the sign bit set, all bits of a negative one flipped.
    """
    bits = points.astype(np.float64).view(np.uint64)
    top = np.uint64(2**63)
    keys = np.where(bits & top, ~bits, bits | top)
    digits = ((keys >> np.uint64(shift)) & np.uint64(255)).astype(np.int64)
    above = keys >> np.uint64(shift) >> np.uint64(8)
    for selection in range(len(prefixes)):
        for feature in range(points.shape[1]):
            fitting = above[:, feature] == prefixes[selection, feature]
            counts[selection, feature] += np.bincount(digits[fitting, feature], minlength=256)
