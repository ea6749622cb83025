"""The policy of a finished run, played: what it earns on the average, and every step of it as a trajectory."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.schema import Variable
from hpcjobs.errors import DataError
from hpcjobs.jobs._qlearning_env import find
from hpcjobs.jobs._qlearning_settings import Settings
from hpcjobs.rl.episodes import record
from hpcjobs.rl.simulator import Simulator


def evaluate(
    settings: Settings, result: Mapping[str, NDArray[Any]], episodes: int, seed: int
) -> tuple[dict[str, float], dict[str, Variable]]:
    """Numbers to tell, and the `/traj` data sets, of some episodes of the `policy` of a `result`.

    DataError for a policy of another environment than that of the settings.
    """
    env = find(settings)
    if str(result["environment"].astype(str)).strip() != (env.digest if isinstance(env, Simulator) else env.digest()):
        raise DataError(f"--env {settings.env}: is another one now than when the result was made")
    played = record(env, result["policy"], seed, episodes)
    returns, lengths = played.returns, np.diff(played.starts)
    ends = played.flags[played.starts[1:] - 1]
    told = {
        "return": float(returns.mean()),
        "standard_error": float(returns.std() / np.sqrt(episodes)),
        "return_in_result": float(result["return"]),
        "length": float(lengths.mean()),
        "terminated": float((ends & 1 == 1).mean()),
        "truncated": float((ends & 2 == 2).mean()),
    }
    every = np.arange(len(played.action))
    step, episode = ("step",), ("episode",)
    return told, {
        "/traj/obs": Variable(step, played.observation, "state before the step"),
        "/traj/action": Variable(step, played.action, "what was done in it"),
        "/traj/reward": Variable(step, played.reward, "reward of the step"),
        "/traj/flags": Variable(
            step, played.flags, "bit 0: it terminated the episode; bit 1: the time limit was reached"
        ),
        "/traj/env_id": Variable(step, np.repeat(np.arange(episodes), lengths), "number of the episode"),
        "/traj/t": Variable(step, every - np.repeat(played.starts[:-1], lengths), "steps of the episode before"),
        "/traj/episode_ptr": Variable(
            ("pointer",), played.starts, "first step of each episode, and the end of the last"
        ),
        "/traj/episode_return": Variable(episode, returns, "undiscounted return of the episode"),
        "/traj/episode_length": Variable(episode, lengths, "steps of the episode"),
        "/traj/final_obs": Variable(episode, played.final, "state in which the episode ended"),
    }
