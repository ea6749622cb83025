"""What is to become small, row by row, and its slope: cross-entropy of two or of many classes, squared error."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.nn.pointwise import sigmoid

Array = NDArray[Any]
Floats = NDArray[np.float64]
KINDS = ("binary", "categorical", "mse")


def loss_of(kind: str, outputs: Array, targets: Array, smoothing: float = 0.0) -> tuple[Floats, Floats]:
    """Loss (n,) of each row and its slope (n, outputs), in float64.

    `targets` (n,) are classes, or numbers for `mse`; or shares: (n, classes) of many, (n,) of the second of two.
    `outputs` (n, outputs) are those of the last layer: a sigmoid or softmax belongs to the loss. `smoothing` takes its
    share of each target away and spreads it over all classes.
    """
    z = outputs.astype(np.float64)
    if kind == "mse":
        difference = z[:, 0] - targets
        return difference * difference, 2 * difference[:, None]
    if kind == "binary":
        line, wanted = z[:, 0], targets * (1 - smoothing) + smoothing / 2
        losses = np.maximum(line, 0) - line * wanted + np.log1p(np.exp(-np.abs(line)))
        return losses, (sigmoid(line) - wanted)[:, None]
    wide = (1 - smoothing) * shares_of(targets, z.shape[1]) + smoothing / z.shape[1]
    shares, logarithms = _softmax(z)
    return -(wide * logarithms).sum(axis=1), shares - wide


def shares_of(targets: Array, classes: int) -> Floats:
    """Targets (n,) as shares (n, classes) of the classes; what are shares already stay so."""
    if targets.ndim == 2:
        return targets.astype(np.float64)
    if classes == 2:  # whole numbers, or shares of the second class
        return np.stack([1 - targets.astype(np.float64), targets], axis=1)
    found = np.zeros((len(targets), classes))
    found[np.arange(len(targets)), targets.astype(np.int64)] = 1
    return found


def probabilities(kind: str, outputs: Array) -> Floats:
    """Probability (n, classes) of each class; for `mse` the numbers themselves (n, 1)."""
    z = outputs.astype(np.float64)
    if kind == "mse":
        return z
    if kind == "binary":
        positive = sigmoid(z[:, 0])
        return np.stack([1 - positive, positive], axis=1)
    return _softmax(z)[0]


def _softmax(z: Floats) -> tuple[Floats, Floats]:
    """Shares and their logarithms."""
    moved = z - z.max(axis=1, keepdims=True)
    powers = np.exp(moved)
    sums = powers.sum(axis=1, keepdims=True)
    return powers / sums, moved - np.log(sums)
