"""Classic control: one step from 30,000 random states is Gymnasium's within 2 ULP, from the definition and its twin."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from numpy.typing import NDArray

from hpcjobs.kernels import classic

STATES = 30_000
SPREAD = {
    "CartPole": (2.5, 3.0, 0.23, 3.0),
    "MountainCar": (1.0, 0.07),
    "Acrobot": (3.2, 3.2, 4.0, 6.0),
}
VERSIONS = {"CartPole": "CartPole-v1", "MountainCar": "MountainCar-v0", "Acrobot": "Acrobot-v1"}


@pytest.fixture(scope="module", params=classic.NAMES)
def case(request: pytest.FixtureRequest) -> tuple[str, NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Name, states (numbers, lanes), actions, and Gymnasium's next states and flags."""
    name: str = request.param
    draw = np.random.default_rng(4)
    spread = np.array(SPREAD[name])[:, None]
    state = draw.uniform(-spread, spread, (len(spread), STATES))
    if name == "MountainCar":
        state[0] = draw.uniform(-1.2, 0.6, STATES)
        state[0, :500] = -1.2 + draw.uniform(0, 0.01, 500)  # near the wall
    action = draw.integers(0, classic.ACTIONS[name], STATES).astype(np.int32)
    env: Any = gymnasium.make(VERSIONS[name]).unwrapped
    after, flags = np.empty_like(state), np.zeros(STATES, dtype=np.uint8)
    for lane in range(STATES):
        env.state, env.steps_beyond_terminated = state[:, lane].copy(), None
        _, _, flags[lane], _, _ = env.step(int(action[lane]))
        after[:, lane] = env.state
    return name, state, action, after, flags


@pytest.mark.parametrize("which", ["definition", "twin"])
def test_a_step_is_that_of_gymnasium(case: Any, which: str) -> None:
    name, before, action, after, flags = case
    kernel = classic.STEPS[name]
    state, found = before.copy(), np.zeros(STATES, dtype=np.uint8)
    (kernel.reference if which == "definition" else kernel.twin(state))(state, action, found)
    # Gymnasium squares by `pow`, an ULP off now and then; where Acrobot's terms cancel, ULP are those of the largest.
    largest = np.abs(after).max(axis=1, keepdims=True)
    apart = np.abs(state - after) / np.spacing(np.maximum(np.abs(after), largest if name == "Acrobot" else 0.0))
    assert apart.max() <= 2
    assert (state != after).any(axis=0).mean() < 0.005
    np.testing.assert_array_equal(found, flags)
    assert 0 < flags.sum() < STATES


def test_time_limits_and_actions_are_those_of_gymnasium() -> None:
    for name, version in VERSIONS.items():
        env = gymnasium.make(version)
        assert env.spec is not None
        assert env.spec.max_episode_steps == classic.TIME_LIMITS[name]
        assert env.action_space.n == classic.ACTIONS[name]  # type: ignore[attr-defined]


@pytest.mark.parametrize("which", range(3))
@pytest.mark.parametrize("lanes", [0, 1, 300])
def test_random_episodes_of_the_twin_are_those_of_the_definition(which: int, lanes: int) -> None:
    keys = np.array([[1, 2], [3, 4]], dtype=np.uint32)
    found = []
    for run in (classic.wander.reference, classic.wander):
        words = np.random.default_rng(0).integers(0, 2**32, (4, lanes), dtype=np.uint32)
        state, elapsed = classic.start(words, which), np.full(lanes, 150, dtype=np.int32)
        ends = run(state, elapsed, keys, np.uint64(9), 60, np.uint64(5), which)
        found.append((state, elapsed, ends))
    np.testing.assert_array_equal(found[1][1], found[0][1])
    np.testing.assert_allclose(found[1][0], found[0][0], rtol=0, atol=1e-9)
    assert found[1][2] == found[0][2]
    if lanes == 300:
        ended, cut_off = found[0][2]
        assert (ended > 0) == (which == 0)
        assert (cut_off > 0) == (which == 1)  # 50 steps before the 200th
