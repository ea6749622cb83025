"""Features of different units made comparable before they are clustered; what was done is kept with the centres."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.clustering.order import quantiles
from hpcjobs.clustering.table import Spread, Table
from hpcjobs.kernels.rows import rescale

Floats = NDArray[np.float64]
KINDS = ("none", "standard", "robust", "unit")


@dataclass(frozen=True)
class Scaling:
    """Rows as they are clustered: (x - offset) / factor, then, with `unit`, brought to length 1.

    offset, factor (features,). The arithmetic is float64; the rows are float32 again if they were that or shorter.
    """

    offset: Floats
    factor: Floats
    unit: bool

    @classmethod
    def none(cls, features: int, unit: bool = False) -> "Scaling":
        return cls(np.zeros(features), np.ones(features), unit)

    @property
    def changes(self) -> bool:
        """Whether rows become others."""
        return self.unit or bool((self.offset != 0).any() or (self.factor != 1).any())

    def dtype(self, given: np.dtype[Any]) -> np.dtype[Any]:
        """The type of the scaled rows."""
        return np.dtype(np.float64 if given == np.float64 else np.float32) if self.changes else given

    def __call__(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Rows (rows, features), scaled: in place where their type allows it."""
        if not self.changes:
            return rows
        wanted = self.dtype(rows.dtype)
        out = rows if rows.dtype == wanted else np.empty(rows.shape, dtype=wanted)
        rescale(rows, self.offset, self.factor, self.unit, out)
        return out

    def undo(self, centres: Floats) -> Floats:
        """Centres in the units of the data; those of rows of length 1 stay as they are, for the length is gone."""
        return centres if self.unit else centres * self.factor + self.offset


def fit(kind: str, unit: bool, table: Table, spread: Spread, rows: int) -> Scaling:
    """The scaling of one kind for a table of `rows` rows that are used, learnt over all ranks. Collective.

    standard: mean 0, variance 1; robust: median 0, distance of the quartiles 1. A constant feature keeps its width.
    """
    features = table.features
    if kind == "standard":
        width = np.sqrt(spread.variance)
        return Scaling(spread.mean, np.where(width > 0, width, 1.0), unit)
    if kind == "robust":

        def blocks() -> Iterator[NDArray[Any]]:
            return (table.points[run] for run in table.runs())

        first, median, third = quantiles(blocks, features, rows, (0.25, 0.5, 0.75), table.communicator)
        width = third - first
        return Scaling(median, np.where(width > 0, width, 1.0), unit)
    return Scaling.none(features, unit or kind == "unit")
