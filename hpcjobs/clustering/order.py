"""Order statistics of rows that lie over many ranks, exact: found byte by byte, by counting."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels.rows import digit_counts
from hpcjobs.parallel.communicator import Communicator

Floats = NDArray[np.float64]
Blocks = Callable[[], Iterator[NDArray[Any]]]


def order_statistics(blocks: Blocks, features: int, places: Sequence[int], communicator: Communicator) -> Floats:
    """The values (places, features) that stand at some places, from 0, of each feature in ascending order.

    `blocks` gives this rank's rows (some, features), without NaN, as often as it is asked: eight times. Collective.
    """
    prefixes = np.zeros((len(places), features), dtype=np.uint64)
    left = np.repeat(np.array(places, dtype=np.int64)[:, None], features, axis=1)  # place among those of the prefix
    for shift in range(56, -1, -8):
        counts = np.zeros((len(places), features, 256), dtype=np.int64)
        for block in blocks():
            digit_counts(block, prefixes, shift, counts)
        communicator.allreduce_sum(counts)
        ends = np.cumsum(counts, axis=2)
        digits = (ends <= left[:, :, None]).sum(axis=2)  # (places, features)
        chosen = digits[:, :, None]
        left -= (np.take_along_axis(ends, chosen, axis=2) - np.take_along_axis(counts, chosen, axis=2))[:, :, 0]
        prefixes = (prefixes << np.uint64(8)) | digits.astype(np.uint64)
    top = np.uint64(2**63)
    return np.where(prefixes & top, prefixes ^ top, ~prefixes).view(np.float64)


def quantiles(blocks: Blocks, features: int, rows: int, shares: Sequence[float], communicator: Communicator) -> Floats:
    """Quantiles (shares, features) of `rows` rows in all, to the bit those of NumPy's default. Collective."""
    positions = [share * (rows - 1) for share in shares]
    below = [int(position) for position in positions]
    places = [*below, *(min(place + 1, rows - 1) for place in below)]
    found = order_statistics(blocks, features, places, communicator)
    low, high = found[: len(shares)], found[len(shares) :]
    weight = np.array([position - place for position, place in zip(positions, below, strict=True)])[:, None]
    step = high - low
    return np.asarray(np.where(weight < 0.5, low + step * weight, high - step * (1.0 - weight)))
