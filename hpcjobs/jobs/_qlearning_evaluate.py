"""The policy of a finished run, played: what it earns on the average, and every step of it as a trajectory."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.schema import Variable
from hpcjobs.jobs import _qlearning_deep as deep
from hpcjobs.jobs._evaluate import Evaluated
from hpcjobs.jobs._qlearning_env import find, refuse_another, settings_of
from hpcjobs.jobs._qlearning_settings import Settings
from hpcjobs.kernels.compiling import compile_deep, compile_tabular
from hpcjobs.parallel.communicator import Communicator, leader_first, on_all, on_root
from hpcjobs.rl.episodes import Episodes, record, record_played
from hpcjobs.rl.simulator import Simulator
from hpcjobs.rl.table import Table
from hpcjobs.runs.model import Model
from hpcjobs.settings import setting

MODEL = ("policy", "environment", "return", "parameters")
Arrays = Mapping[str, NDArray[Any]]


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What `hpcjobs evaluate` can be told of a policy."""

    episodes: Annotated[int, setting("episodes to play", ge=1, le=10**7)] = 1000
    seed: Annotated[int, setting("seed of their starts and of all that is random in them", ge=0)] = 1


def evaluate(model: Model, wanted: Evaluation, communicator: Communicator) -> Evaluated:
    """Play the policy; every rank plays all, for what is random follows from seed and number of the episode."""
    settings = msgspec.convert(on_root(communicator, lambda: settings_of(model)), Settings)
    leader_first(communicator, compile_deep if settings.algorithm == "pqn" else compile_tabular)
    env = on_all(communicator, lambda: find(settings, model.file.parent / "code"))
    on_all(communicator, lambda: refuse_another(env, f"--env {settings.env}", model.arrays))
    played = _play(env, settings, model.arrays, wanted)
    told = measures(played) | {"return_in_result": float(model.arrays["return"])}
    return Evaluated(told, trajectories(played))


def _play(env: Table | Simulator, settings: Settings, result: Arrays, wanted: Evaluation) -> Episodes:
    if isinstance(env, Table):
        return record(env, result["policy"], wanted.seed, wanted.episodes)
    if env.features is None or settings.algorithm != "pqn":
        return record_played(env, env.observe, lambda state: result["policy"][state], wanted.seed, wanted.episodes)
    env, net, _ = deep.prepared(settings, env)
    parts = [result[f"parameters/{block.name}"].ravel() for layer in net.layers for block in layer]
    act = deep.policy_of(net, np.concatenate(parts))
    assert env.features is not None
    return record_played(env, env.features, act, wanted.seed, wanted.episodes)


def measures(played: Episodes) -> dict[str, float]:
    """What the episodes came to on the average, and how they ended."""
    returns, lengths = played.returns, np.diff(played.starts)
    ends = played.flags[played.starts[1:] - 1]
    return {
        "episodes": len(returns),
        "return": float(returns.mean()),
        "standard_error": float(returns.std() / np.sqrt(len(returns))),
        "least_return": float(returns.min()),
        "length": float(lengths.mean()),
        "terminated": float((ends & 1 == 1).mean()),
        "truncated": float((ends & 2 == 2).mean()),
    }


def trajectories(played: Episodes) -> dict[str, Variable]:
    """The `/traj` data sets."""
    lengths = np.diff(played.starts)
    every, number = np.arange(len(played.action)), np.arange(len(lengths))
    step, episode = ("step",), ("episode",)
    numbers = ("number",) * (played.observation.ndim - 1)
    return {
        "/traj/obs": Variable((*step, *numbers), played.observation, "state before the step, or its numbers"),
        "/traj/action": Variable(step, played.action, "what was done in it"),
        "/traj/reward": Variable(step, played.reward, "reward of the step"),
        "/traj/flags": Variable(
            step, played.flags, "bit 0: it terminated the episode; bit 1: the time limit was reached"
        ),
        "/traj/env_id": Variable(step, np.repeat(number, lengths), "number of the episode"),
        "/traj/t": Variable(step, every - np.repeat(played.starts[:-1], lengths), "steps of the episode before"),
        "/traj/episode_ptr": Variable(
            ("pointer",), played.starts, "first step of each episode, and the end of the last"
        ),
        "/traj/episode_return": Variable(episode, played.returns, "undiscounted return of the episode"),
        "/traj/episode_length": Variable(episode, lengths, "steps of the episode"),
        "/traj/final_obs": Variable((*episode, *numbers), played.final, "state in which it ended, or its numbers"),
    }
