"""The tables are those of Gymnasium, entry by entry, and the kernel walks them as Gymnasium does, draw by draw."""

from typing import Any

import gymnasium
import numpy as np
import pytest

from hpcjobs.kernels.tabular import advance
from hpcjobs.rl.named import make
from hpcjobs.rl.table import Table

CASES: dict[str, tuple[Table, str, dict[str, Any]]] = {
    "lake": (make("FrozenLake"), "FrozenLake-v1", {}),
    "lake 8x8": (make("FrozenLake8x8"), "FrozenLake8x8-v1", {}),
    "dry lake": (make("FrozenLake8x8", slippery=False), "FrozenLake8x8-v1", {"is_slippery": False}),
    "own map": (
        make("FrozenLake", map_text="SFH,FSF,HFG,FFF", success_rate=0.7),
        "FrozenLake-v1",
        {"desc": ["SFH", "FSF", "HFG", "FFF"], "success_rate": 0.7},
    ),
    "taxi": (make("Taxi"), "Taxi-v4", {}),
    "cliff": (make("CliffWalking"), "CliffWalking-v1", {"max_episode_steps": 1000}),
    "slippery cliff": (
        make("CliffWalking", slippery=True),
        "CliffWalkingSlippery-v1",
        {"max_episode_steps": 1000},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_every_entry_is_that_of_gymnasium(case: str) -> None:
    table, name, options = CASES[case]
    env = gymnasium.make(name, **options)
    theirs, first = env.unwrapped.P, env.unwrapped.initial_state_distrib
    assert table.pairs == (len(theirs), len(theirs[0]))
    for state, row in theirs.items():
        for action, found in row.items():
            for kind, (chance, after, reward, terminated) in enumerate(found):
                assert table.chances[state, action, kind] == chance
                assert table.outcomes[state, action, kind] == 2 * after + terminated
                assert table.rewards[state, action, kind] == reward
            assert (table.chances[state, action, len(found) :] == 0).all()
    everywhere = np.zeros(len(theirs))
    everywhere[table.starts] = table.start_chances
    np.testing.assert_array_equal(everywhere, first)
    assert env.spec is not None
    assert env.spec.max_episode_steps == table.time_limit


@pytest.mark.parametrize("case", CASES)
def test_thirty_thousand_steps_are_those_of_gymnasium_by_its_own_draws(case: str) -> None:
    table, name, options = CASES[case]
    env = gymnasium.make(name, **options)
    draws, steps = np.random.Generator(np.random.PCG64(np.random.SeedSequence(3))), 30_000
    chosen = np.random.default_rng(1).integers(0, table.pairs[1], steps)
    observed, _ = env.reset(seed=3)
    draws.random()
    state, elapsed = np.array([observed], dtype=np.int32), np.zeros(1, dtype=np.int32)
    counts, expected = np.zeros(table.outcomes.shape, dtype=np.int64), np.zeros(table.pairs, dtype=np.int64)
    words, never = np.zeros((1, 4, 1), dtype=np.uint32), np.zeros(table.pairs[0], dtype=np.int32)
    rewards = ended = 0.0
    for action in chosen:
        expected[observed, action] += 1
        observed, reward, terminated, truncated, _ = env.step(int(action))
        words[0, 1:3, 0] = -(-(int(action) << 32) // table.pairs[1]), int(draws.random() * 2**32)
        if terminated or truncated:
            observed, _ = env.reset()
            words[0, 3, 0] = int(draws.random() * 2**32)
        advance(state, elapsed, words, np.uint64(2**32), never, table.world, counts)
        assert state[0] == observed
        assert (elapsed[0] == 0) == (terminated or truncated)
        rewards, ended = rewards + float(reward), ended + terminated
    np.testing.assert_array_equal(counts.sum(axis=2), expected)
    assert (counts * table.rewards).sum() == rewards
    assert counts[table.outcomes & 1 == 1].sum() == ended


def test_a_step_that_ends_at_the_time_limit_starts_anew_though_it_has_not_terminated() -> None:
    table = make("FrozenLake", slippery=False, time_limit=3)
    state, elapsed = np.array([1], dtype=np.int32), np.array([2], dtype=np.int32)
    counts, words = np.zeros(table.outcomes.shape, dtype=np.int64), np.zeros((1, 4, 1), dtype=np.uint32)
    up = np.full(16, 3, dtype=np.int32)
    advance(state, elapsed, words, np.uint64(0), up, table.world, counts)
    assert (state[0], elapsed[0]) == (0, 0)
    assert counts[1, 3, 0] == 1
    assert table.outcomes[1, 3, 0] == 2 * 1  # a wall, no end: what is learned looks beyond the time limit
