"""Deep Q-learning (`pqn`) on an environment of numbers: what its policy earns is measured, not computed."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from hpcjobs.data.schema import Variable, text, texts
from hpcjobs.errors import RunFolderError, SettingsError
from hpcjobs.jobs._qlearning_course import Course
from hpcjobs.jobs._qlearning_settings import Settings
from hpcjobs.nn import mlp
from hpcjobs.nn.network import view
from hpcjobs.rl import novelty, pqn
from hpcjobs.rl.simulator import Simulator
from hpcjobs.rl.waves import with_waves
from hpcjobs.runs.context import Context

WATCHED, JUDGED = 40, 100  # episodes that are played for a row of the history, and for the result


def check(settings: Settings, simulator: Simulator) -> None:
    """SettingsError for what does not go together."""
    own = settings.pqn
    if simulator.features is None:
        raise SettingsError(
            f"--algorithm pqn learns from numbers; the states of {simulator.name} have none: take batch-q"
        )
    if settings.bins:
        raise SettingsError("--bins means nothing to --algorithm pqn, which takes the numbers themselves")
    with_waves(simulator, own.waves)
    if settings.environments < own.shards:
        raise SettingsError(
            f"--environments is {settings.environments}, --pqn shards {own.shards}: expected no more shards than "
            "environments"
        )
    samples = settings.environments // own.shards * settings.round_steps
    if own.batches > samples:
        raise SettingsError(f"--pqn batches is {own.batches}: a shard has {samples} steps in a round; take fewer")


def deep_of(settings: Settings) -> pqn.Deep:
    """How to learn."""
    own = settings.pqn
    rounds = -(-settings.steps // (settings.environments * settings.round_steps))
    return pqn.Deep(
        seed=settings.seed, gamma=settings.gamma, trace=own.trace, environments=settings.environments,
        shards=own.shards, round_steps=settings.round_steps, epochs=own.epochs, batches=own.batches,
        rate=own.learning_rate, rounds=rounds, clip=own.clip, epsilon=own.epsilon,
        exploring_rounds=own.exploring * rounds, reward_scale=own.reward_scale, bonus=own.bonus,
        hidden=(own.hidden,) * own.layers,
    )  # fmt: skip


def prepared(settings: Settings, simulator: Simulator) -> tuple[Simulator, mlp.Mlp, novelty.Novelty]:
    """The environment as the network is told of it, the network, and the grid on which what is new is counted."""
    numbers = pqn.network(simulator, ()).layers[0][0].shape[0]
    told = with_waves(simulator, settings.pqn.waves)
    return told, pqn.network(told, deep_of(settings).hidden), novelty.for_numbers(numbers)


def policy_of(net: mlp.Mlp, parameters: pqn.Floats) -> Callable[[pqn.Floats], NDArray[np.int32]]:
    """The best action (rows,) by what the network says of features (rows, numbers)."""
    return lambda features: mlp.values(net, parameters, features).argmax(axis=1).astype(np.int32)


def learn(settings: Settings, simulator: Simulator, context: Context) -> str:
    """Learn, and publish what was learned; returns its digest."""
    communicator, deep = context.communicator, deep_of(settings)
    simulator, net, grid = prepared(settings, simulator)
    same = not settings.allow_other_numerics
    rounds, state = context.resume(settings.checkpoint_every, settings.checkpoint_seconds, same_numerics=same)
    if not state:
        state = pqn.begin(deep, simulator, net, grid) | {"rounds": np.array(deep.rounds), "most": np.array(-np.inf)}
        state["best"] = state["parameters"]
    if int(state["rounds"]) != deep.rounds:
        raise RunFolderError(
            f"--steps {settings.steps}: pqn, whose learning rate falls by them, was begun with others; start a new run"
        )
    brain = pqn.restore(deep, state, rounds, communicator)
    best, most = state["best"].copy(), float(state["most"])
    course = Course(context, settings, deep.steps_of_round, rounds)

    def earned(parameters: pqn.Floats, episodes: int, first: int) -> NDArray[np.float64]:
        return pqn.earned(simulator, policy_of(net, parameters), settings.seed, episodes, first, communicator)

    def whole() -> dict[str, NDArray[np.generic]]:
        kept = {"rounds": np.array(deep.rounds), "best": best, "most": np.array(most)}
        return brain.gather(communicator) | kept

    # More threads would not help products this small, and could change their bits.
    with context.timing.phase("learn"), threadpool_limits(1, "blas"):
        while brain.rounds < course.last:
            pqn.play(deep, simulator, net, grid, brain, communicator)
            if course.due(brain.rounds) or brain.rounds == course.last:
                found = float(earned(brain.parameters, WATCHED, 0).mean())
                if found >= most:
                    best, most = brain.parameters.copy(), found
                row = {
                    "return": found,
                    "environment_steps": brain.rounds * deep.steps_of_round,
                    "epsilon": deep.exploring(brain.rounds - 1),
                }
                course.log(brain.rounds, row, f"mean of {WATCHED} episodes")
            course.round_done(brain.rounds, whole)
    context.save(brain.rounds, whole())
    with context.timing.phase("finish"):
        content = finish(simulator, net, best, earned(best, JUDGED, WATCHED), course.steps)
    return context.publish_result(f"Deep Q-learning on {simulator.name} in {course.steps} steps", content)


def finish(
    simulator: Simulator, net: mlp.Mlp, parameters: pqn.Floats, returns: NDArray[np.float64], steps: int
) -> dict[str, Variable]:
    """The `/result` data sets."""
    error = float(returns.std() / np.sqrt(len(returns)))
    content = {
        "/result/action": Variable(("action",), texts(simulator.actions), "what an agent can do"),
        "/result/return": Variable((), np.array(returns.mean()), f"mean return of the policy in {JUDGED} episodes"),
        "/result/return_error": Variable((), np.array(error), "standard error of that mean"),
        "/result/steps": Variable((), np.array(steps), "environment steps"),
        "/result/time_limit": Variable((), np.array(simulator.time_limit), "steps after which an episode is cut off"),
        "/result/environment": Variable((), text(simulator.digest), "what tells the environment from others"),
    }
    for block in (block for layer in net.layers for block in layer):
        axes = tuple(f"{block.name}_{axis}" for axis in range(len(block.shape)))
        content[f"/result/parameters/{block.name}"] = Variable(axes, view(parameters, block), "of the network")
    return content
