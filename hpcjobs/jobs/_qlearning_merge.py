"""Several runs in one environment as if they were one: counts are added up, and values follow from the sums."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.schema import Variable
from hpcjobs.errors import DataError
from hpcjobs.jobs import _qlearning_result as tabular
from hpcjobs.jobs import _qlearning_simulated as simulated
from hpcjobs.jobs._qlearning_env import find, refuse_another, settings_of
from hpcjobs.jobs._qlearning_settings import Settings, learner_of, optimism_of
from hpcjobs.kernels.compiling import compile_tabular
from hpcjobs.parallel.communicator import SerialCommunicator
from hpcjobs.rl import position, simulating
from hpcjobs.rl.planning import greedy_policy, live, optimum, solve
from hpcjobs.rl.simulator import Simulator
from hpcjobs.rl.table import Table
from hpcjobs.runs.model import Model

MERGED = ("counts", "visits", "outcomes", "rewards", "outcomes_seen", "environment", "steps", "seeds")


def merge(models: Sequence[Model]) -> tuple[dict[str, Any], dict[str, Variable]]:
    """Settings and `/result` of the sum of some results; DataError for those that cannot be added up."""
    compile_tabular()
    every = [msgspec.convert(settings_of(model), Settings) for model in models]
    first = every[0]
    env = find(first, models[0].file.parent / "code")
    for model, settings in zip(models, every, strict=True):
        if "counts" not in model.arrays:
            raise DataError(f"{model.file}: has no counts to add up: a result of --algorithm {settings.algorithm}")
        refuse_another(env, str(model.file), model.arrays)
        for name in ("gamma", "time_limit"):
            one, other = getattr(first, name), getattr(settings, name)
            if one != other:
                raise DataError(f"{model.file}: its {name} is {other}, of {models[0].file} {one}: expected the same")
    seeds = _seeds(models, every)
    steps = sum(int(model.arrays["steps"]) for model in models)
    merged = msgspec.structs.replace(first, algorithm="counts", steps=steps, step_size=0.0, seed=int(seeds[0]))
    add = _of_table if isinstance(env, Table) else _of_simulator
    content = add(merged, env, models, steps)  # type: ignore[arg-type]
    content["/result/seeds"] = Variable(("run",), seeds, "seeds of the runs that were added up")
    return msgspec.to_builtins(merged), content


def _seeds(models: Sequence[Model], every: Sequence[Settings]) -> NDArray[np.int64]:
    """The seeds of all runs, in order, those merged before too; DataError for one that is twice."""
    found: list[int] = []
    for model, settings in zip(models, every, strict=True):
        for seed in model.arrays.get("seeds", np.array([settings.seed])).tolist():
            if seed in found:
                raise DataError(
                    f"{model.file}: --seed {seed} is there twice; such runs drew the same random numbers, one tells "
                    "nothing new: merge runs of different seeds"
                )
            found.append(seed)
    return np.array(sorted(found), dtype=np.int64)


def _of_table(settings: Settings, table: Table, models: Sequence[Model], steps: int) -> dict[str, Variable]:
    state: dict[str, NDArray[Any]] = {
        "q": np.full(table.pairs, optimism_of(settings, table)),
        "visits": _sum(models, "visits"),
        "counts": _sum(models, "counts"),
        "environments": np.zeros((2, 0), dtype=np.int64),
    }
    at = position.restore(state, 0, None)
    learner = learner_of(settings, table.time_limit)
    return tabular.finish(learner, table, optimum(table, settings.gamma), live(table), at, steps)


def _of_simulator(settings: Settings, env: Simulator, models: Sequence[Model], steps: int) -> dict[str, Variable]:
    alone = SerialCommunicator()
    trial = simulating.restore(env, simulating.begin(env, optimism_of(settings, None), 0, 1), 0, alone)
    parts = [_rows(model) for model in models]
    simulating.note(env, trial, np.concatenate([rows for rows, _ in parts], axis=1), alone)
    for rows, times in parts:
        np.add.at(trial.at.counts, (rows[0], rows[1], simulating.kinds(trial, rows)), times)
    trial.at.visits += trial.at.counts.sum(axis=2)
    solve(trial.at.q, trial.at.counts, trial.known, settings.gamma)
    returns = simulating.earned(env, greedy_policy(trial.at.q), settings.seed, simulated.JUDGED, alone)
    return simulated.finish(env, trial, returns, steps)


def _rows(model: Model) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What a run saw: state, action, outcome and bits of the reward (4, n), and how often (n,)."""
    counts = model.arrays["counts"].astype(np.int64)
    place = np.nonzero(counts)
    outcome, reward = model.arrays["outcomes"][place], model.arrays["rewards"][place].astype(np.float64)
    return np.stack([place[0], place[1], outcome.astype(np.int64), reward.view(np.int64)]), counts[place]


def _sum(models: Sequence[Model], name: str) -> NDArray[np.int64]:
    total = models[0].arrays[name].astype(np.int64)
    for model in models[1:]:
        total = total + model.arrays[name]
    return total
