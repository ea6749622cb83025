"""Cosines of several numbers at once."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels.dispatch import kernel

Array = NDArray[Any]


@kernel
def waves(x: Array, turns: Array, out: Array) -> None:
    """Write x (rows, numbers) and behind it cos(pi / 2 * sum of (x + 1) turns) to out (rows, numbers + waves).

    turns (numbers, waves). Each row by itself: its bits do not depend on the rows beside it.
    """
    phases = ((x + x.dtype.type(1))[:, :, None] * turns).sum(axis=1)
    out[...] = np.concatenate([x, np.cos(x.dtype.type(np.pi / 2) * phases)], axis=1)
