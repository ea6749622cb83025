"""Environments of Gymnasium: one that tells its chances becomes a table, any other is played, one object an episode.

Each episode is an object of its own, seeded and reset by us and dropped at its end; nothing resets itself.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.errors import DataError, SettingsError
from hpcjobs.rl.simulator import Inner, Simulator, Stepped, Words
from hpcjobs.rl.table import Table, pack

TIME_LIMIT = 1000  # where an environment has none
MOST_STATES = 2**24


def from_id(name: str) -> Callable[[], Any] | None:
    """What makes a registered environment; None for a name that Gymnasium does not know, or without Gymnasium."""
    try:
        import gymnasium
    except ImportError:
        return None
    return (lambda: gymnasium.make(name, disable_env_checker=True)) if name in gymnasium.registry else None


def make(name: str, factory: Callable[[], Any], bins: int, time_limit: int) -> Table | Simulator:
    """The table, or the simulator, of the environment that `factory` makes; DataError for one that is none of ours."""
    try:
        import gymnasium
    except ImportError:
        raise SettingsError(f"--env {name}: needs Gymnasium; pip install 'hpcjobs[gym]'") from None
    env = factory()
    if not isinstance(env, gymnasium.Env):
        what = "a vector environment; expected a single one" if hasattr(env, "num_envs") else f"no environment: {env!r}"
        raise DataError(f"--env {name}: is {what}")
    actions = _actions(name, env)
    limit = time_limit or getattr(env.spec, "max_episode_steps", None) or TIME_LIMIT
    inside: Any = env.unwrapped
    if isinstance(getattr(inside, "P", None), dict) and hasattr(inside, "initial_state_distrib"):
        return pack(name, inside.P, np.asarray(inside.initial_state_distrib, dtype=np.float64), limit, actions)
    states, number = _states(name, env.observation_space, bins)
    return Simulator(
        name, states, actions, limit, name, *_played(name, factory, number), lambda inner: inner[1].copy(), anew=True
    )


def _actions(name: str, env: Any) -> tuple[str, ...]:
    count = getattr(env.action_space, "n", None)
    if count is None or env.action_space.shape != ():
        raise DataError(f"--env {name}: its actions are {env.action_space}; expected Discrete, finitely many")
    begin = int(env.action_space.start)
    if begin:
        raise DataError(f"--env {name}: its actions begin with {begin}; expected 0")
    return tuple(str(action) for action in range(int(count)))


def _states(name: str, space: Any, bins: int) -> tuple[int, Callable[[Any], int]]:
    """How many states there are, and what turns an observation into the number of one."""
    if getattr(space, "n", None) is not None and space.shape == ():
        begin = int(space.start)
        return int(space.n), lambda found: int(found) - begin
    if getattr(space, "low", None) is None:
        raise DataError(f"--env {name}: its observations are {space}; expected Discrete, or Box with --bins")
    low, high = (np.asarray(bound, dtype=np.float64).ravel() for bound in (space.low, space.high))
    if not bins:
        raise DataError(f"--env {name}: its observations are {space}; cut each number into cells with --bins")
    if not (np.abs(np.concatenate([low, high])) < 1e30).all():
        raise DataError(f"--env {name}: its observations have no bounds ({space}); cells need some")
    if len(low) * np.log2(bins) > np.log2(MOST_STATES):
        raise SettingsError(f"--bins {bins}: {bins}^{len(low)} states are more than {MOST_STATES}; take fewer")
    width = np.where(high > low, high - low, 1.0)

    def number(found: Any) -> int:
        share = (np.asarray(found, dtype=np.float64).ravel() - low) / width
        if not np.isfinite(share).all():
            raise DataError(f"--env {name}: its observation is {found}; expected finite numbers")
        cells = np.clip(share * bins, 0, bins - 1).astype(np.int64)
        return int(np.ravel_multi_index(tuple(cells), (bins,) * len(cells)))

    return bins ** len(low), number


def _played(
    name: str, factory: Callable[[], Any], number: Callable[[Any], int]
) -> tuple[Callable[[Words], Inner], Callable[[Inner, NDArray[np.int32], Words], Stepped]]:
    """`start` and `step` on objects that live as long as a lane carries their seed."""
    playing: dict[int, Any] = {}
    idle: list[Any] = []

    def start(words: Words) -> Inner:
        seeds = words[0].astype(np.int64) << 30 ^ words[1].astype(np.int64) >> 2
        found = []
        for seed in seeds.tolist():
            env = idle.pop() if idle else factory()
            observation, _ = env.reset(seed=seed)
            playing[seed] = env
            found.append(number(observation))
        return np.stack([seeds, np.array(found, dtype=np.int64)])

    def step(inner: Inner, action: NDArray[np.int32], _: Words) -> Stepped:
        for seed in playing.keys() - set(inner[0].tolist()):
            idle.append(playing.pop(seed))
        reward, ended = np.zeros(len(action)), np.zeros(len(action), dtype=bool)
        for lane, (seed, chosen) in enumerate(zip(inner[0].tolist(), action.tolist(), strict=True)):
            observation, reward[lane], ended[lane], *_ = playing[seed].step(chosen)
            inner[1, lane] = number(observation)
        return reward, ended

    return start, step
