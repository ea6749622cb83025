"""An environment that can only be played: its chances are not known, its states are numbered."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels.philox import blocks
from hpcjobs.parallel.randomness import short_key

Inner = NDArray[Any]  # (numbers, lanes): what an environment itself calls its state; float64 or int64
Words = NDArray[np.uint32]  # (4, lanes)
Stepped = tuple[NDArray[np.float64], NDArray[np.bool_]]  # reward and whether terminated, (lanes,)


@dataclass(frozen=True)
class Simulator:
    """Pure functions of many environments at once; all that is random in them comes from the words."""

    name: str
    states: int
    actions: tuple[str, ...]
    time_limit: int
    digest: str
    start: Callable[[Words], Inner]
    step: Callable[[Inner, NDArray[np.int32], Words], Stepped]  # the inner states change in place
    observe: Callable[[Inner], NDArray[np.int64]]  # the number of each state (lanes,)
    features: Callable[[Inner], NDArray[np.float32]] | None = None  # what a network is told (lanes, numbers)
    anew: bool = False  # what it carries cannot be kept: each round begins with new episodes


def begin_again(
    simulator: Simulator, inner: Inner, over: NDArray[np.bool_], seed: int, purpose: str, step: int, first: int
) -> None:
    """Start those episodes that are `over` anew, after a step of the environments from number `first` on."""
    words = words_of(seed, f"{purpose} starts", step, first, len(over))
    inner[:, over] = simulator.start(np.ascontiguousarray(words[:, over]))


def first_states(simulator: Simulator, seed: int, purpose: str, first: int, lanes: int) -> Inner:
    """Where the first episodes of `lanes` environments from number `first` on begin."""
    return simulator.start(words_of(seed, f"{purpose} starts", 0, first, lanes))


def words_of(seed: int, purpose: str, step: int, first: int, lanes: int) -> Words:
    """The four random words (4, lanes) of a step of each environment from number `first` on."""
    found: Words = words_of_steps(seed, purpose, step, 1, first, lanes)[0]
    return found


def words_of_steps(seed: int, purpose: str, step: int, steps: int, first: int, lanes: int) -> Words:
    """Those (steps, 4, lanes) of steps from number `step` on."""
    words = np.empty((steps, 4, lanes), dtype=np.uint32)
    blocks(words, short_key(seed, purpose), np.uint64(step), np.uint64(first))
    return words


def below(word: NDArray[np.uint32], bound: int) -> NDArray[np.int32]:
    """A number from 0 to `bound` - 1 of each word."""
    found: NDArray[np.int32] = ((word.astype(np.uint64) * np.uint64(bound)) >> np.uint64(32)).astype(np.int32)
    return found
