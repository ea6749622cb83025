"""Whole episodes of a policy, recorded step by step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels.philox import blocks
from hpcjobs.parallel.randomness import short_key
from hpcjobs.rl.simulator import Inner, Simulator, first_states, words_of
from hpcjobs.rl.table import Table

TERMINATED, TRUNCATED = 1, 2  # bits of `flags`; both may be set on one step
Look = Callable[[Inner], NDArray[Any]]
Act = Callable[[NDArray[Any]], NDArray[np.int32]]
AT_ONCE = 2**24  # steps that are held while episodes are played


@dataclass(frozen=True)
class Episodes:
    """Steps (steps,), episode after episode; episode e has those from starts[e] to starts[e + 1]."""

    observation: NDArray[Any]  # the number of a state, or (steps, numbers)
    action: NDArray[np.int32]
    reward: NDArray[np.float64]
    flags: NDArray[np.uint8]
    starts: NDArray[np.int64]  # (episodes + 1,)
    final: NDArray[Any]  # (episodes,) or (episodes, numbers), the state that each has ended in

    @property
    def returns(self) -> NDArray[np.float64]:
        """The undiscounted return of each episode (episodes,)."""
        return np.add.reduceat(self.reward, self.starts[:-1]) if len(self.reward) else np.zeros(0)


def record(table: Table, policy: NDArray[np.int32], seed: int, episodes: int) -> Episodes:
    """Play a policy (states,); episode number e is the same whatever their number."""
    return _in_parts(lambda first, many: _record(table, policy, seed, first, many), table.time_limit, episodes)


def record_played(simulator: Simulator, look: Look, act: Act, seed: int, episodes: int) -> Episodes:
    """The same where one can only play: `look` turns states into what is seen, `act` that into actions."""
    return _in_parts(
        lambda first, many: _record_played(simulator, look, act, seed, first, many), simulator.time_limit, episodes
    )


def _in_parts(play: Callable[[int, int], Episodes], time_limit: int, episodes: int) -> Episodes:
    """Episodes that are played some at a time: from a first one on, so many."""
    many = max(1, AT_ONCE // time_limit)
    parts = [play(first, min(many, episodes - first)) for first in range(0, episodes, many)]
    lengths = np.concatenate([np.diff(part.starts) for part in parts])
    return Episodes(
        observation=np.concatenate([part.observation for part in parts]),
        action=np.concatenate([part.action for part in parts]),
        reward=np.concatenate([part.reward for part in parts]),
        flags=np.concatenate([part.flags for part in parts]),
        starts=np.concatenate([[0], lengths.cumsum()]),
        final=np.concatenate([part.final for part in parts]),
    )


def _record(table: Table, policy: NDArray[np.int32], seed: int, first: int, episodes: int) -> Episodes:
    key, steps = short_key(seed, "q-learning evaluation"), []
    words = np.empty((1, 4, episodes), dtype=np.uint32)
    blocks(words, key, np.uint64(0), np.uint64(first))
    number = np.searchsorted(table.start_limits, words[0, 3].astype(np.uint64), side="right")
    state = table.starts[np.minimum(number, len(table.starts) - 1)]
    going, final = np.arange(episodes), np.empty(episodes, dtype=np.int32)
    for step in range(1, table.time_limit + 1):
        blocks(words, key, np.uint64(step), np.uint64(first))
        action = policy[state]
        kind = (words[0, 2, going].astype(np.uint64)[:, None] >= table.limits[state, action]).sum(axis=1)
        found = table.outcomes[state, action, kind]
        flags = (found & 1) * TERMINATED + (step == table.time_limit) * TRUNCATED
        steps.append((going, state, action, table.rewards[state, action, kind], flags.astype(np.uint8)))
        final[going] = found >> 1
        on = flags == 0
        going, state = going[on], (found >> 1)[on]
        if not len(going):
            break
    return _sorted(steps, final)


def _record_played(simulator: Simulator, look: Look, act: Act, seed: int, first: int, episodes: int) -> Episodes:
    inner = first_states(simulator, seed, "recorded", first, episodes)
    seen, steps, going = look(inner), [], np.arange(episodes)
    final = np.empty_like(seen)
    for step in range(1, simulator.time_limit + 1):
        words = words_of(seed, "recorded steps", step, first, episodes)[:, going]
        action = act(seen)
        reward, terminated = simulator.step(inner, action, np.ascontiguousarray(words))
        after = look(inner)
        flags = (terminated * TERMINATED + (step == simulator.time_limit) * TRUNCATED).astype(np.uint8)
        steps.append((going, seen, action, reward, flags))
        final[going] = after
        on = flags == 0
        going, seen, inner = going[on], after[on], np.ascontiguousarray(inner[:, on])
        if not len(going):
            break
    return _sorted(steps, final)


def _sorted(steps: Sequence[tuple[NDArray[Any], ...]], final: NDArray[Any]) -> Episodes:
    """Steps of all episodes at once, one after another, as episodes."""
    episode, observation, taken, reward, flag = (np.concatenate(column) for column in zip(*steps, strict=True))
    order = np.argsort(episode, kind="stable")  # by episode; steps stay in their order
    starts = np.concatenate([[0], np.bincount(episode, minlength=len(final)).cumsum()])
    return Episodes(observation[order], taken[order], reward[order], flag[order], starts, final)
