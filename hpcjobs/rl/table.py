"""An environment of finitely many states and actions, packed for the kernels."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels.tabular import World

# As Gymnasium's toy environments have them: {state: {action: [(chance, next state, reward, terminated), ...]}}.
Transitions = Mapping[int, Mapping[int, Sequence[tuple[float, int, float, bool]]]]


@dataclass(frozen=True)
class Table:
    """Every transition of an environment; all arrays (states, actions, kinds) but those of the starts."""

    name: str
    outcomes: NDArray[np.int32]  # next state, doubled, plus 1 if the episode is over
    chances: NDArray[np.float64]  # 0 where a pair has fewer kinds of outcomes
    rewards: NDArray[np.float64]
    limits: NDArray[np.uint64]  # (states, actions, kinds - 1): cumulative chances in units of 2^-32
    starts: NDArray[np.int32]  # (starts,)
    start_chances: NDArray[np.float64]  # (starts,)
    start_limits: NDArray[np.uint64]  # (starts,)
    time_limit: int
    actions: tuple[str, ...]
    map: tuple[str, ...] = field(default=())  # the rows of a grid world whose states are its cells

    @property
    def world(self) -> World:
        """The part that the kernels take."""
        return World(self.outcomes, self.rewards, self.limits, self.starts, self.start_limits, self.time_limit)

    @property
    def pairs(self) -> tuple[int, int]:
        """States and actions."""
        return self.outcomes.shape[0], self.outcomes.shape[1]

    def digest(self) -> str:
        """What tells two environments apart: SHA-256 of every array."""
        made = hashlib.sha256()
        for array in (self.outcomes, self.chances, self.rewards, self.starts, self.start_chances):
            made.update(array.tobytes())
        return made.hexdigest()


def pack(
    name: str,
    transitions: Transitions,
    starts: NDArray[np.float64],
    time_limit: int,
    actions: Sequence[str],
    rows: Sequence[str] = (),
) -> Table:
    """The table of an environment; `starts` (states,) is the chance of each state to be the first."""
    kinds = max(len(found) for row in transitions.values() for found in row.values())
    shape = (len(transitions), len(actions), kinds)
    outcomes, chances, rewards = np.zeros(shape, dtype=np.int32), np.zeros(shape), np.zeros(shape)
    for state, row in transitions.items():
        for action, found in row.items():
            for kind in range(kinds):  # what is missing repeats the last, with chance 0
                chance, after, reward, terminated = found[min(kind, len(found) - 1)]
                outcomes[state, action, kind] = 2 * after + int(terminated)
                rewards[state, action, kind] = reward
                chances[state, action, kind] = chance if kind < len(found) else 0.0
    first = np.flatnonzero(starts).astype(np.int32)
    return Table(
        name=name,
        outcomes=outcomes,
        chances=chances,
        rewards=rewards,
        limits=np.ascontiguousarray(_limits(chances)[..., :-1]),
        starts=first,
        start_chances=starts[first],
        start_limits=_limits(starts)[first],
        time_limit=time_limit,
        actions=tuple(actions),
        map=tuple(rows),
    )


def _limits(chances: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Cumulative chances (..., kinds) as thresholds of a 32-bit word, which reaches one when it is not below it."""
    return np.ceil(np.minimum(np.cumsum(chances, axis=-1), 1.0) * 2.0**32).astype(np.uint64)
