"""Q-learning: environments played on any number of ranks, merged by exact counts, told beside the exact optimum."""

from collections.abc import Mapping
from typing import Any

from hpcjobs.errors import SettingsError
from hpcjobs.jobs import _qlearning_deep as deep
from hpcjobs.jobs import _qlearning_simulated as simulated
from hpcjobs.jobs import _qlearning_tables as tables
from hpcjobs.jobs._qlearning_env import find
from hpcjobs.jobs._qlearning_evaluate import MODEL, Evaluation, evaluate
from hpcjobs.jobs._qlearning_merge import MERGED, merge
from hpcjobs.jobs._qlearning_result import described, figures
from hpcjobs.jobs._qlearning_settings import Settings, check_values
from hpcjobs.kernels.compiling import compile_deep, compile_tabular
from hpcjobs.parallel.communicator import leader_first, on_all, on_root
from hpcjobs.rl.simulator import Simulator
from hpcjobs.rl.table import Table
from hpcjobs.runs.context import Context

__all__ = [
    "MERGED", "MODEL", "Evaluation", "Settings", "check", "describe", "evaluate", "figures", "merge", "need", "run",
]  # fmt: skip

# Python with its libraries.
BASE_BYTES = 300 * 2**20
# What can follow an action is seen while learning; room for so many outcomes of each is assumed before.
USUAL_OUTCOMES = 32


def check(settings: Settings) -> None:
    """Find every mistake, those of a user's own environment too."""
    check_values(settings)
    checked(settings, find(settings))


def checked(settings: Settings, env: Table | Simulator) -> None:
    """SettingsError for what does not fit the environment."""
    if settings.algorithm == "pqn":
        if isinstance(env, Table):
            raise SettingsError(
                f"--algorithm pqn learns from numbers; {env.name} has numbered states: take batch-q or counts"
            )
        deep.check(settings, env)
    elif isinstance(env, Simulator):
        simulated.check(settings, env)


def need(settings: Settings, ranks: int) -> int:
    """Memory of one rank in bytes: the tables, of environment and counts, where the environments are, Python itself."""
    env = find(settings)
    if isinstance(env, Table):
        cells = env.outcomes.size
    else:
        cells = env.states * len(env.actions) * USUAL_OUTCOMES
    return 60 * cells + 24 * settings.environments + BASE_BYTES


def run(settings: Settings, context: Context) -> str:
    """Learn, and publish what was learned; returns its digest.

    Steps are rounds: all environments play, the ranks add up what they counted, and all learn the same from it.
    """
    communicator = context.communicator
    on_root(communicator, lambda: check_values(settings))
    context.progress.say("compiling what is not in the cache yet")
    leader_first(communicator, compile_deep if settings.algorithm == "pqn" else compile_tabular)
    env = on_all(communicator, lambda: find(settings, context.code))
    on_root(communicator, lambda: checked(settings, env))
    if isinstance(env, Table):
        return tables.learn(settings, env, context)
    if settings.algorithm == "pqn":
        return deep.learn(settings, env, context)
    return simulated.learn(settings, env, context)


def describe(result: Mapping[str, Any]) -> dict[str, str]:
    """What `show` says of a result beyond what all jobs share."""
    return described(result)
