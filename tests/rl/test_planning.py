"""Exact planning: the values that are known, by an independent linear solve, and within the time limit."""

import numpy as np
import pytest

from hpcjobs.rl.named import make
from hpcjobs.rl.planning import earned, highest, live, optimum
from hpcjobs.rl.table import Table

# Computed by two independent programs; see docs/qlearning.md.
START_VALUES = [
    ("FrozenLake", {}, 0.9, 0.068891),
    ("FrozenLake", {}, 0.99, 0.542026),
    ("FrozenLake", {}, 1.0, 14 / 17),
    ("FrozenLake8x8", {}, 0.9, 0.006411),
    ("FrozenLake8x8", {}, 0.99, 0.414640),
    ("Taxi", {}, 0.99, 6.327464),
    ("Taxi", {}, 0.9, -1.263323),
    ("CliffWalking", {}, 0.99, -12.247898),
    ("CliffWalking", {"slippery": True}, 0.99, -46.352672),
    ("CliffWalking", {"slippery": True}, 1.0, -64.709176),
]
RETURNS = [
    ("FrozenLake", {}, 0.99, 0.740165),
    ("FrozenLake8x8", {}, 0.99, 0.862955),
    ("FrozenLake8x8", {}, 0.999, 0.885654),
    ("FrozenLake", {"slippery": False}, 0.99, 1.0),
    ("Taxi", {}, 0.99, 7.93),
    ("CliffWalking", {}, 0.99, -13.0),
]


@pytest.mark.parametrize(("name", "options", "gamma", "value"), START_VALUES)
def test_the_value_of_the_start_is_the_known_one(
    name: str, options: dict[str, bool], gamma: float, value: float
) -> None:
    table = make(name, **options)
    found = optimum(table, gamma)
    assert float((table.start_chances * found.value[table.starts]).sum()) == pytest.approx(value, abs=6e-7)


@pytest.mark.parametrize(("name", "options", "gamma", "value"), RETURNS)
def test_the_greedy_policy_earns_the_known_return(
    name: str, options: dict[str, bool], gamma: float, value: float
) -> None:
    assert optimum(make(name, **options), gamma).earned == pytest.approx(value, abs=6e-7)


@pytest.mark.parametrize("name", ["FrozenLake8x8", "Taxi", "CliffWalkingSlippery"])
def test_the_optimum_is_what_its_policy_earns_by_a_linear_solve(name: str) -> None:
    table, gamma = make(name), 0.97
    found = optimum(table, gamma)
    states = np.arange(len(found.value))
    outcomes = table.outcomes[states, found.policy]
    chances, rewards = table.chances[states, found.policy], table.rewards[states, found.policy]
    going = np.zeros((len(states), len(states)))
    np.add.at(going, (states[:, None], outcomes >> 1), chances * (outcomes & 1 == 0))
    solved = np.linalg.solve(np.eye(len(states)) - gamma * going, (chances * rewards).sum(axis=1))
    here = live(table)
    np.testing.assert_allclose(found.value[here], solved[here], rtol=0, atol=1e-10)
    after = np.where(table.outcomes & 1, 0.0, found.value[table.outcomes >> 1])
    better = (table.chances * (table.rewards + gamma * after)).sum(axis=2).max(axis=1)
    np.testing.assert_allclose(found.value[here], better[here], rtol=0, atol=1e-10)


@pytest.mark.parametrize(("name", "count"), [("FrozenLake", 11), ("FrozenLake8x8", 53), ("Taxi", 400)])
def test_live_states_are_those_in_which_one_acts(name: str, count: int) -> None:
    assert live(make(name)).sum() == count


@pytest.mark.parametrize("name", ["FrozenLake", "Taxi", "CliffWalking", "CliffWalkingSlippery"])
@pytest.mark.parametrize("gamma", [0.5, 0.99, 1.0])
def test_no_value_is_above_the_bound(name: str, gamma: float) -> None:
    table = make(name)
    assert optimum(table, gamma).q[live(table)].max() <= highest(table, gamma) + 1e-9


def test_the_bound_is_tight_where_it_can_be() -> None:
    assert [highest(make(name), 0.99) for name in ("FrozenLake", "Taxi", "CliffWalking")] == [1.0, 20.0, -1.0]


def test_a_time_limit_cuts_what_a_policy_earns() -> None:
    table: Table = make("CliffWalking", time_limit=5)
    right = np.full(48, 1, dtype=np.int32)
    assert earned(table, right) == -500.0
