"""Q-learning: environments played on any number of ranks, merged by exact counts, told beside the exact optimum."""

import time
from collections.abc import Mapping
from typing import Any

from hpcjobs.jobs._qlearning_result import described, figures, finish, logged
from hpcjobs.jobs._qlearning_settings import Settings, check, learner_of, optimism_of, table_of
from hpcjobs.kernels.compiling import compile_tabular
from hpcjobs.parallel.communicator import leader_first, on_root
from hpcjobs.rl.learning import play
from hpcjobs.rl.planning import live, optimum
from hpcjobs.rl.position import begin, restore
from hpcjobs.runs.context import Context

__all__ = ["Settings", "check", "describe", "figures", "need", "run"]

# Python with its libraries.
BASE_BYTES = 300 * 2**20


def need(settings: Settings, ranks: int) -> int:
    """Memory of one rank in bytes: the tables, of environment and counts, where the environments are, Python itself."""
    outcomes = table_of(settings).outcomes
    return 60 * outcomes.size + 24 * settings.environments + BASE_BYTES


def run(settings: Settings, context: Context) -> str:
    """Learn, and publish what was learned; returns its digest.

    Steps are rounds: all environments play, the ranks add up what they counted, and all learn the same from it.
    """
    communicator = context.communicator
    on_root(communicator, lambda: check(settings))
    context.progress.say("compiling what is not in the cache yet")
    leader_first(communicator, compile_tabular)
    table = table_of(settings)
    learner = learner_of(settings, table)
    best, states = optimum(table, settings.gamma), live(table)
    rounds, state = context.resume(settings.checkpoint_every, settings.checkpoint_seconds)
    if not state:
        state = begin(table, optimism_of(settings, table), settings.seed, settings.environments)
    at = restore(state, rounds, None if settings.algorithm == "online" else communicator)
    last = -(-settings.steps // learner.steps_of_round)
    if settings.steps % learner.steps_of_round:
        context.progress.say(f"--steps {settings.steps} become {last * learner.steps_of_round}: {last} whole rounds")

    before = context.history.columns.get("seconds", [0.0])[-1]  # what earlier attempts have taken
    began, detail = time.monotonic(), ""
    with context.timing.phase("learn"):
        while at.rounds < last:
            play(learner, table, at, communicator)
            if due(at.rounds, context.history.steps):
                seconds = time.monotonic() - began
                row = logged(learner, table, best, states, at, before + seconds)
                context.history.log(at.rounds, **row)
                rate = (at.rounds - rounds) * learner.steps_of_round / seconds
                detail = (
                    f"return {row['return']:.5g} of {best.earned:.5g}  epsilon {row['epsilon']:.3g}  {rate:.3g} steps/s"
                )
            context.progress.step(at.rounds, last, detail)
            context.step_done(at.rounds, lambda: at.gather(communicator))

    context.save(at.rounds, at.gather(communicator))
    with context.timing.phase("finish"):
        content = finish(learner, table, best, states, at)
    return context.publish_result(f"Q-learning on {table.name} in {last * learner.steps_of_round} steps", content)


def due(rounds: int, before: list[int]) -> bool:
    """Whether a row of the history is due: after each of the first rounds, then ever more seldom, by a twentieth."""
    return not before or rounds >= before[-1] + max(1, before[-1] // 20)


def describe(result: Mapping[str, Any]) -> dict[str, str]:
    """What `show` says of a result beyond what all jobs share."""
    return described(result)
