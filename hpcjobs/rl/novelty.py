"""A bonus for what was seldom seen: counts of the cells of a grid over the numbers of an observation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SHARE = 0.5  # of all rounds, in which the bonus falls to 0
FINEST = 20  # cells of each number
MOST_CELLS = 2**16


@dataclass(frozen=True)
class Novelty:
    """`bins` cells of each of `numbers` between -1 and 1; what lies beyond is in the outermost."""

    numbers: int
    bins: int

    @property
    def cells(self) -> int:
        return int(self.bins**self.numbers)

    def cell(self, features: NDArray[np.float32]) -> NDArray[np.int64]:
        """The number of the cell of each row (rows, numbers or more)."""
        cells = np.clip(
            (features[:, : self.numbers].astype(np.float64) + 1) * (self.bins / 2), 0, self.bins - 1
        ).astype(np.int64)
        found: NDArray[np.int64] = np.ravel_multi_index(tuple(cells.T), (self.bins,) * self.numbers)
        return found

    def bonus(self, counts: NDArray[np.int64], size: float, done: float) -> NDArray[np.float64]:
        """size / sqrt(1 + counts) of what was seen so often; it falls until `done`, a share of all rounds, is SHARE."""
        return size * max(0.0, 1 - done / SHARE) / np.sqrt(1 + counts)


def for_numbers(numbers: int) -> Novelty:
    """As fine a grid as has at most MOST_CELLS cells."""
    return Novelty(numbers, min(FINEST, max(1, int(MOST_CELLS ** (1 / numbers) + 1e-9))))
