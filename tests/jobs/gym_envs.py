"""Small environments in the manner of Gymnasium."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Walk(gymnasium.Env[Any, Any]):
    """A point between -1 and 1 that is pushed about; it ends on the right."""

    observation_space = spaces.Box(-1.0, 1.0, (1,))
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.place = self.np_random.uniform(-0.5, 0.5)
        return np.array([self.place], dtype=np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.place = float(np.clip(self.place + 0.2 * (2 * action - 1) + 0.05 * self.np_random.normal(), -1, 1))
        over = self.place > 0.9
        return np.array([self.place], dtype=np.float32), float(over), over, False, {}


def walk() -> Any:
    return Walk()


def unbounded() -> Any:
    made = Walk()
    made.observation_space = spaces.Box(-np.inf, np.inf, (1,))
    return made


def many() -> Any:
    return gymnasium.make_vec("FrozenLake-v1", num_envs=2)


def nothing() -> Any:
    return None
