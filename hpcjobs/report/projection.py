"""Rows of many features as points in a plane."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Plane:
    """points (rows kept, 2) of the rows without NaN, the share of their variance that is seen, names of the axes."""

    points: NDArray[np.float64]
    kept: NDArray[np.bool_]
    share: float
    labels: tuple[str, str]
    mean: NDArray[np.float64]
    axes: NDArray[np.float64]

    def place(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Other rows (n, features) in the same plane (n, 2)."""
        return np.asarray((rows.astype(np.float64) - self.mean) @ self.axes.T)


def project(rows: NDArray[Any]) -> Plane | None:
    """The plane of the first two principal components of rows (n, features); None for fewer than two whole rows."""
    kept = np.isfinite(rows).all(axis=1)
    whole = rows[kept].astype(np.float64)
    if len(whole) < 2 or whole.shape[1] == 0:
        return None
    mean = whole.mean(axis=0)
    if not np.isfinite(whole - mean).all():  # too far apart for their differences
        return None
    _, lengths, directions = np.linalg.svd(whole - mean, full_matrices=False)
    axes = np.zeros((2, whole.shape[1]))
    axes[: len(directions[:2])] = directions[:2]
    # The sign of a component is anybody's choice: its largest part is positive.
    axes *= np.where(np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1) < 0, -1.0, 1.0)
    total = float((lengths**2).sum())
    share = float((lengths[:2] ** 2).sum()) / total if total > 0 else 1.0
    return Plane((whole - mean) @ axes.T, kept, share, ("first component", "second component"), mean, axes)
