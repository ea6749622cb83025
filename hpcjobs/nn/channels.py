"""Mean and standard deviation of each channel over a data set."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.clustering.table import spread_of
from hpcjobs.data.slab import shards_of
from hpcjobs.data.source import Source, source_blocks
from hpcjobs.kernels import kmeans as kernels
from hpcjobs.parallel.communicator import Communicator


@dataclass(frozen=True)
class Channels:
    """Mean and standard deviation of each channel (channels,), of values as they are in the file."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]


def channels_of(source: Source, communicator: Communicator) -> Channels:
    """Over all pixels of images (rows, height, width, channels), read twice; the same bits on any ranks. Collective."""
    span = shards_of(source).rows(communicator.rank, communicator.size)
    count = source.shape[-1]

    def pixels() -> Iterator[NDArray[Any]]:
        return (block.reshape(-1, count) for block in source_blocks(source, span))

    low = np.full(count, np.inf)
    high = -low
    for block in pixels():
        kernels.extent(block, low, high, np.empty(len(block), dtype=np.uint8))
    bounds = np.concatenate([-low, high])
    communicator.allreduce_max(bounds)
    used = source.rows * source.shape[1] * source.shape[2]
    found = spread_of(pixels(), -bounds[:count], bounds[count:], used, source.dtype.itemsize <= 4, communicator)
    return Channels(found.mean, np.sqrt(found.variance))
