"""What must be the same bits on all ranks, looked at while a run goes on."""

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from hpcjobs.errors import LaunchError
from hpcjobs.parallel.communicator import Communicator


def refuse_difference(what: str, arrays: Sequence[NDArray[Any]], communicator: Communicator) -> None:
    """Stop all ranks where contiguous arrays that should be equal on all of them are not. Collective.

    LaunchError names the ranks that differ from most, or all where no bits are those of most, and their nodes: a
    processor, memory or library there gives other bits.
    """
    digest = xxhash.xxh3_64()
    for array in arrays:
        digest.update(array.data)
    found = communicator.allgather(np.array([digest.intdigest()], dtype=np.uint64))[:, 0].tolist()
    usual, count = Counter(found).most_common(1)[0]
    if count == len(found):
        return
    nodes = communicator.allgather_object(os.uname().nodename)
    most = 2 * count > len(found)
    odd = [f"{rank} on {nodes[rank]}" for rank, one in enumerate(found) if one != usual or not most]
    raise LaunchError(
        f"{what} should be the same bits on all {len(found)} ranks, and are not: rank {', '.join(odd)} "
        f"{'differs from the rest' if most else 'have different ones'}; look at the processors, memory and libraries "
        "there (hpcjobs doctor), and resume from the last checkpoint without them"
    )
