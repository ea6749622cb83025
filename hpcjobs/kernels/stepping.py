"""A user's own environment, written for one state, stepped for many at once: state (lanes,), words (lanes, 4)."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels.dispatch import kernel

Integers = NDArray[np.int64]


@kernel
def step_lanes(
    state: Integers,
    action: NDArray[np.int32],
    words: NDArray[np.uint32],
    reward: NDArray[np.float64],
    terminated: NDArray[np.uint8],
    step: Callable[..., Any],
    parameters: Any,
) -> None:
    """`step(state, action, words, parameters) -> state, reward, terminated`, of each lane; written in place."""
    for lane in range(len(state)):
        state[lane], reward[lane], terminated[lane] = step(state[lane], action[lane], words[lane], parameters)


@kernel
def reset_lanes(state: Integers, words: NDArray[np.uint32], reset: Callable[..., Any], parameters: Any) -> None:
    """`reset(words, parameters) -> state`, of each lane; written in place."""
    for lane in range(len(state)):
        state[lane] = reset(words[lane], parameters)
