"""The rows that lie farthest from their centres: a share of all rows, the same ones on any number of ranks."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hpcjobs.clustering.order import order_statistics
from hpcjobs.clustering.table import Table

Floats = NDArray[np.float64]


def farthest(table: Table, distances: Floats, count: int) -> NDArray[np.uint8]:
    """1 for the `count` rows (local rows,) of largest distance over all ranks, of equals the first ones. Collective."""
    comm = table.communicator
    _, rows = table.place()
    found = np.zeros(len(distances), dtype=np.uint8)
    if count == 0:
        return found

    def blocks() -> Iterator[Floats]:
        yield distances[:, None]

    limit = order_statistics(blocks, 1, [rows - count], comm)[0, 0]
    found[distances > limit] = 1
    ties = np.flatnonzero(distances == limit)
    counts = comm.allgather(np.array([int(found.sum()), len(ties)], dtype=np.int64))
    left = count - int(counts[:, 0].sum()) - int(counts[: comm.rank, 1].sum())
    found[ties[: max(0, left)]] = 1
    return found
