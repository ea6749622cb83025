"""Environments of finitely many states as tables: many of them stepped at once, counted, planned with, learned from.

Environment `lane` is in `state` (lanes,) and has `elapsed` (lanes,) steps behind it. A kind is one of the outcomes of a
state-action pair. The four random words of a step are: explore or not, which action, which outcome, which start.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels.dispatch import kernel
from hpcjobs.kernels.philox import blocks

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Outcomes = NDArray[np.int32]
Words = NDArray[np.uint32]
Limits = NDArray[np.uint64]
HALF = np.uint64(32)


class World(NamedTuple):
    """An environment as the kernels take it."""

    outcomes: Outcomes  # (states, actions, kinds): the next state, doubled, plus 1 if the step terminates the episode
    rewards: Floats  # (states, actions, kinds)
    limits: Limits  # (states, actions, kinds - 1): cumulative chances * 2^32; the kind is how many a word reaches
    starts: Outcomes  # (starts,)
    start_limits: Limits  # (starts,), alike
    horizon: int  # steps after which an episode is cut off: truncated, not terminated


@kernel
def advance(
    state: Outcomes,
    elapsed: Outcomes,
    words: Words,
    explore: np.uint64,
    greedy: Outcomes,
    world: World,
    counts: Integers,
) -> None:
    """Step every environment by given words (steps, 4, lanes); count what happens in `counts` (states, actions, kinds).

    An action is drawn when the first word is below `explore`, else it is that of `greedy` (states,).
    """
    outcomes, _, limits, starts, start_limits, horizon = world
    for coin, which, fate, again in words.astype(np.uint64):
        drawn = ((which * np.uint64(outcomes.shape[1])) >> HALF).astype(np.int64)
        action = np.where(coin < explore, drawn, greedy[state])
        kind = (fate[:, None] >= limits[state, action]).sum(axis=1)
        np.add.at(counts, (state, action, kind), 1)
        found = outcomes[state, action, kind]
        elapsed += 1
        ended = (found & 1 == 1) | (elapsed >= horizon)
        first = starts[np.minimum(np.searchsorted(start_limits, again, side="right"), len(starts) - 1)]
        state[...] = np.where(ended, first, found >> 1)
        elapsed[ended] = 0


@kernel
def rollout(
    state: Outcomes,
    elapsed: Outcomes,
    key: Words,
    step: np.uint64,
    steps: int,
    first: np.uint64,
    explore: np.uint64,
    greedy: Outcomes,
    world: World,
    counts: Integers,
) -> None:
    """`advance` by the random words of `steps` steps from `step` on, of the environments from number `first` on."""
    words = np.empty((steps, 4, len(state)), dtype=np.uint32)
    blocks.reference(words, key, step, first)
    advance.reference(state, elapsed, words, explore, greedy, world, counts)


@kernel
def sweep(
    values: Floats,
    weights: NDArray[np.generic],
    world: World,
    gamma: float,
    bonus: float,
    q: Floats,
) -> float:
    """One sweep of value iteration in the order of the states; returns the largest change of `q` (states, actions).

    `weights` (states, actions, kinds) are chances, or counts from which chances are estimated; a pair without any keeps
    its value. `bonus` / sqrt(counts) is added to the target. `values` (states,), the largest of `q`, count as soon as
    they are new.
    """
    largest = 0.0
    for s in range(len(values)):
        total, target = _expected(weights[s].astype(np.float64), world.rewards[s], world.outcomes[s], gamma, values)
        known = total > 0
        new = np.where(known, target / np.where(known, total, 1.0), q[s])
        new[known] += bonus / np.sqrt(total[known])
        largest = max(largest, float(np.abs(new - q[s]).max()))
        q[s] = new
        values[s] = q[s].max()
    return largest


def _expected(
    weights: Floats, rewards: Floats, outcomes: Outcomes, gamma: float, values: Floats
) -> tuple[Floats, Floats]:
    """Total weight and weighted target of each action; all (actions, kinds), summed in the order of the kinds."""
    after = np.where(outcomes & 1, 0.0, values[outcomes >> 1])
    terms = weights * (rewards + gamma * after)
    return weights.cumsum(axis=1)[:, -1], terms.cumsum(axis=1)[:, -1]


@kernel
def evaluate(values: Floats, policy: Outcomes, chances: Floats, world: World, steps: int) -> None:
    """Turn the value of each state after `steps` steps of a policy (states,) into that before them, undiscounted."""
    rows = np.arange(len(values))
    found, chance, reward = (
        world.outcomes[rows, policy],
        chances[rows, policy],
        world.rewards[rows, policy],
    )
    for _ in range(steps):
        after = np.where(found & 1, 0.0, values[found >> 1])
        values[...] = (chance * (reward + after)).cumsum(axis=1)[:, -1]


@kernel
def greedy(q: Floats, words: Words, policy: Outcomes) -> None:
    """The action of the largest value of each state (states, actions); a word (states,) chooses among equals."""
    best = q == q.max(axis=1, keepdims=True)
    place = (words.astype(np.uint64) * best.sum(axis=1).astype(np.uint64)) >> HALF
    policy[...] = (best.cumsum(axis=1) > place[:, None]).argmax(axis=1)


@kernel
def blend(
    q: Floats,
    values: Floats,
    visits: Integers,
    counts: Integers,
    world: World,
    gamma: float,
    memory: int,
    step_size: float,
) -> None:
    """One batch of Q-learning: move `q` (states, actions) towards the mean target of the `counts` of a round.

    The targets use the `values` (states,) of before the round. n new visits weigh 1 - prod(1 - alpha), as n updates by
    the mean target would, with alpha = `step_size`, or for 0 the rescaled-linear (memory + 1) / (memory + visit).
    """
    total, target = np.zeros_like(q), np.zeros_like(q)
    for s, seen in enumerate(counts.astype(np.float64)):
        total[s], target[s] = _expected(seen, world.rewards[s], world.outcomes[s], gamma, values)
    for s, a in zip(*np.nonzero(total), strict=True):
        new = int(total[s, a])
        left = _forgotten(int(visits[s, a]), new, memory, step_size)
        q[s, a] = left * q[s, a] + (1.0 - left) * (target[s, a] / total[s, a])
        visits[s, a] += new
    values[...] = q.max(axis=1)


def _forgotten(before: int, new: int, memory: int, step_size: float) -> float:
    """The share that stays of a value after `new` visits on top of `before`: prod(1 - alpha)."""
    left, factor = 1.0, 1.0 - step_size
    if step_size > 0:
        while new > 0:  # the power, by squaring
            left = left * factor if new & 1 else left
            factor *= factor
            new >>= 1
        return left
    # Most factors of the product cancel: (before + i - 1) / (before + i + memory) for i = 1 to new.
    apart = max(new, memory + 1)
    for j in range(min(new, memory + 1)):
        left *= (before + j) / (before + apart + j)
        if left < 1e-20:  # nothing of it shows in a float64
            return 0.0
    return left


@kernel
def online(
    q: Floats,
    state: Outcomes,
    elapsed: Outcomes,
    key: Words,
    step: np.uint64,
    steps: int,
    explore: np.uint64,
    world: World,
    gamma: float,
    memory: int,
    step_size: float,
    counts: Integers,
    visits: Integers,
) -> None:
    """Q-learning as in the textbook: each environment in turn makes one step, and `q` learns from it at once."""
    outcomes, rewards, limits, starts, start_limits, horizon = world
    actions = outcomes.shape[1]
    words = np.empty((steps, 4, len(state)), dtype=np.uint32)
    blocks.reference(words, key, step, np.uint64(0))
    for number in range(steps):
        for lane in range(len(state)):
            coin, which, fate, again = (int(word) for word in words[number, :, lane])
            s = int(state[lane])
            best = np.flatnonzero(q[s] == q[s].max())
            a = which * actions >> 32 if coin < explore else int(best[which * len(best) >> 32])
            k = int((limits[s, a] <= fate).sum())
            counts[s, a, k] += 1
            visits[s, a] += 1
            after, terminated = outcomes[s, a, k] >> 1, outcomes[s, a, k] & 1
            alpha = step_size if step_size > 0 else (memory + 1) / (memory + int(visits[s, a]))
            target = rewards[s, a, k] + gamma * (0.0 if terminated else q[after].max())
            q[s, a] += alpha * (target - q[s, a])
            elapsed[lane] += 1
            if terminated or elapsed[lane] >= horizon:
                first = int(np.searchsorted(start_limits, np.uint64(again), side="right"))
                after, elapsed[lane] = starts[min(first, len(starts) - 1)], 0
            state[lane] = after
