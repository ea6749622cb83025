"""What is exactly so of a table: the optimum, what a policy earns, which states an episode can be in."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels.tabular import evaluate, sweep
from hpcjobs.rl.table import Table

Floats = NDArray[np.float64]
PRECISION = 1e-13  # of a value, as a share of the largest
MOST_SWEEPS = 1_000_000


@dataclass(frozen=True)
class Optimum:
    """The best that can be had: q (states, actions), value (states,), and what its greedy policy earns."""

    q: Floats
    value: Floats
    policy: NDArray[np.int32]
    earned: float


def solve(q: Floats, weights: NDArray[np.generic], table: Table, gamma: float) -> None:
    """Sweep until `q` (states, actions) moves no more; pairs without weight keep their value."""
    values, world = q.max(axis=1), table.world
    for _ in range(MOST_SWEEPS):
        change = sweep(values, weights, world, gamma, 0.0, q)
        if change <= PRECISION * max(1.0, float(np.abs(q).max())):
            return


def optimum(table: Table, gamma: float) -> Optimum:
    """Exact value iteration, which knows every chance. Its policy is the first of the best actions."""
    q = np.zeros(table.pairs)
    solve(q, table.chances, table, gamma)
    q[~live(table)] = 0.0
    policy = greedy_policy(q)
    return Optimum(q, q.max(axis=1), policy, earned(table, policy))


def greedy_policy(q: Floats) -> NDArray[np.int32]:
    """The first of the best actions of each state."""
    best: NDArray[np.int32] = q.argmax(axis=1).astype(np.int32)
    return best


def earned(table: Table, policy: NDArray[np.int32]) -> float:
    """The undiscounted return of a policy (states,) within the time limit, exactly: the mean over the starts."""
    values = np.zeros(len(policy))
    evaluate(values, policy, table.chances, table.world, table.time_limit)
    return float((table.start_chances * values[table.starts]).sum())


def live(table: Table) -> NDArray[np.bool_]:
    """The states (states,) in which an action can be taken: those that a start leads to, without an end on the way."""
    found = np.zeros(table.pairs[0], dtype=bool)
    frontier = table.starts.astype(np.int64)
    going = (table.outcomes & 1 == 0) & (table.chances > 0)
    while len(frontier):
        found[frontier] = True
        after = np.unique(table.outcomes[frontier][going[frontier]] >> 1)
        frontier = after[~found[after]]
    return found


def highest(table: Table, gamma: float) -> float:
    """A bound on every value that follows from the rewards alone: an end with the best reward, or the best for ever."""
    ends = table.outcomes & 1 == 1
    last = float(table.rewards[ends].max(initial=-np.inf))
    step = float(table.rewards[~ends].max(initial=-np.inf))
    if gamma < 1.0:
        return max(last, step / (1.0 - gamma))
    if step >= 0.0:
        return max(last, 0.0) + step * table.time_limit
    return last if np.isfinite(last) else 0.0
