"""Q-learning on an environment that can only be played: what its policy earns is measured, not computed."""

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.schema import Variable, text, texts
from hpcjobs.errors import SettingsError
from hpcjobs.jobs._qlearning_course import Course, refuse_another
from hpcjobs.jobs._qlearning_settings import Settings, learner_of, optimism_of
from hpcjobs.rl.planning import greedy_policy, solve
from hpcjobs.rl.simulating import Trial, begin, earned, play, restore
from hpcjobs.rl.simulator import Simulator
from hpcjobs.runs.context import Context

WATCHED, JUDGED = 64, 1000  # episodes that are played for a row of the history, and for the result


def check(settings: Settings, simulator: Simulator) -> None:
    """SettingsError for what an environment that can only be played cannot do."""
    if settings.algorithm == "online":
        raise SettingsError(
            f"--algorithm online needs an environment that is known as a table, and {simulator.name} can only be "
            "played; take batch-q or counts"
        )


def learn(settings: Settings, simulator: Simulator, context: Context) -> str:
    """Learn, and publish what was learned; returns its digest."""
    communicator = context.communicator
    learner = learner_of(settings, simulator.time_limit)
    rounds, state = context.resume(settings.checkpoint_every, settings.checkpoint_seconds)
    if not state:
        state = begin(simulator, optimism_of(settings, None), settings.seed, settings.environments)
        state["digest"] = text(simulator.digest)
    refuse_another(state["digest"], simulator.digest, settings.env)
    trial = restore(simulator, state, rounds, communicator)
    at = trial.at
    course = Course(context, settings, learner.steps_of_round, rounds)
    with context.timing.phase("learn"):
        while at.rounds < course.last:
            play(learner, simulator, trial, communicator)
            if course.due(at.rounds):
                returns = earned(simulator, greedy_policy(at.q), settings.seed, WATCHED, communicator)
                row = {
                    "return": float(returns.mean()),
                    "environment_steps": at.rounds * learner.steps_of_round,
                    "epsilon": learner.exploring(at.rounds - 1),
                }
                course.log(at.rounds, row, f"mean of {WATCHED} episodes")
            course.round_done(at.rounds, lambda: trial.gather(communicator) | {"digest": text(simulator.digest)})
    context.save(at.rounds, trial.gather(communicator) | {"digest": text(simulator.digest)})
    with context.timing.phase("finish"):
        if settings.algorithm == "counts":
            solve(at.q, at.counts, trial.known, settings.gamma)
        returns = earned(simulator, greedy_policy(at.q), settings.seed, JUDGED, communicator)
        content = finish(simulator, trial, returns, course.steps)
    return context.publish_result(f"Q-learning on {simulator.name} in {course.steps} steps", content)


def finish(simulator: Simulator, trial: Trial, returns: NDArray[np.float64], steps: int) -> dict[str, Variable]:
    """The `/result` data sets; states that were never seen are worth what was assumed."""
    at, known = trial.at, trial.known
    pair, state, kind = ("state", "action"), ("state",), ("state", "action", "outcome")
    error = float(returns.std() / np.sqrt(len(returns)))
    visited = np.asarray(at.visits.any(axis=1), dtype=np.uint8)
    return {
        "/result/action": Variable(("action",), texts(simulator.actions), "what an agent can do"),
        "/result/q": Variable(pair, at.q, "learned value of an action in a state"),
        "/result/visits": Variable(pair, at.visits, "how often an action was taken in a state"),
        "/result/policy": Variable(state, greedy_policy(at.q), "number of the best action, the first of equals"),
        "/result/value": Variable(state, at.q.max(axis=1), "learned value of a state"),
        "/result/acts": Variable(state, visited, "1 for states in which an action was taken"),
        "/result/counts": Variable(kind, at.counts, "how often an action had an outcome"),
        "/result/outcomes": Variable(kind, known.outcomes, "next state of an outcome, doubled, plus 1 if terminated"),
        "/result/rewards": Variable(kind, known.rewards, "reward of an outcome"),
        "/result/outcomes_seen": Variable(pair, trial.used, "outcomes that were seen; the rest is room"),
        "/result/return": Variable((), np.array(returns.mean()), f"mean return of the policy in {JUDGED} episodes"),
        "/result/return_error": Variable((), np.array(error), "standard error of that mean"),
        "/result/coverage": Variable((), np.array((at.visits > 0).mean()), "share of state-action pairs tried"),
        "/result/steps": Variable((), np.array(steps), "environment steps"),
        "/result/time_limit": Variable((), np.array(simulator.time_limit), "steps after which an episode is cut off"),
        "/result/environment": Variable((), text(simulator.digest), "what tells the environment from others"),
    }
