"""A user's own environment: each rule that it may break is named with the state; it is learned like a table."""

from typing import Any

import numpy as np
import pytest
from clustering.threads_comm import on_ranks
from numpy.typing import NDArray
from rl import broken_envs

from hpcjobs.errors import DataError
from hpcjobs.examples.warehouse import CELLS, DOOR, Warehouse
from hpcjobs.jobs._qlearning_settings import Settings, learner_of
from hpcjobs.parallel.communicator import Communicator, SerialCommunicator
from hpcjobs.rl.classic import make as classic
from hpcjobs.rl.own import check, simulator
from hpcjobs.rl.planning import greedy_policy, optimum, solve
from hpcjobs.rl.simulating import begin, earned, play, restore
from hpcjobs.rl.simulator import Simulator
from hpcjobs.rl.table import Table, pack

State = dict[str, NDArray[Any]]
SLIPS = 0.25  # of the Line


def line() -> Table:
    """The same chances as `broken_envs.Line`, written down."""
    moves: dict[int, dict[int, list[tuple[float, int, float, bool]]]] = {
        state: {
            action: [
                (SLIPS, state, float(state == 4), state == 4),
                (1 - SLIPS, after := max(state + 2 * action - 1, 0), float(after == 4), after == 4),
            ]
            for action in range(2)
        }
        for state in range(4)
    }
    moves[4] = {action: [(1.0, 4, 0.0, True)] for action in range(2)}
    return pack("line", moves, np.array([0.25] * 4 + [0.0]), 20, ("back", "on"))


def learn(
    env: Simulator,
    settings: Settings,
    communicator: Communicator,
    rounds: int,
    state: State | None = None,
    done: int = 0,
) -> State:
    learner = learner_of(settings, env.time_limit)
    trial = restore(env, state or begin(env, 0.0, settings.seed, settings.environments), done, communicator)
    while trial.at.rounds < rounds:
        play(learner, env, trial, communicator)
    return trial.gather(communicator)


def same(found: State, expected: State) -> None:
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def made(env: str) -> Simulator:
    return simulator("Warehouse", Warehouse, "") if env == "Warehouse" else classic(env, 6)


@pytest.mark.parametrize("env", ["Warehouse", "MountainCar"])
@pytest.mark.parametrize("algorithm", ["batch-q", "counts"])
def test_any_number_of_ranks_and_a_restart_with_another_number_learn_the_same(env: str, algorithm: Any) -> None:
    one = made(env)
    settings = Settings(env=env, bins=6, algorithm=algorithm, environments=5, round_steps=11, seed=3)
    whole = learn(one, settings, SerialCommunicator(), 12)
    for ranks in (2, 3, 4, 7):  # 7 ranks for 5 environments: some have none
        for state in on_ranks(ranks, lambda communicator: learn(one, settings, communicator, 12)):
            same(state, whole)
    half = on_ranks(3, lambda communicator: learn(one, settings, communicator, 5))[0]
    for state in on_ranks(2, lambda communicator: learn(one, settings, communicator, 12, half, 5)):
        same(state, whole)


def test_values_are_those_of_the_chances_written_down() -> None:
    env = simulator("Line", broken_envs.Line, "")
    settings = Settings(env="Line", algorithm="counts", environments=512, round_steps=100, epsilon=0.5)
    state = learn(env, settings, SerialCommunicator(), 6)
    trial = restore(env, state, 6, SerialCommunicator())
    q = trial.at.q
    solve(q, trial.at.counts, trial.known, 0.99)
    np.testing.assert_allclose(q[:4], optimum(line(), 0.99).q[:4], atol=2e-3)
    assert trial.used[:4].tolist() == [[1, 2], [2, 2], [2, 2], [2, 2]]  # from 0 nothing leads back
    assert (trial.used[4] == 0).all()  # an end is no state in which one acts
    returns = earned(env, greedy_policy(q), 1, 400, SerialCommunicator())
    assert returns.mean() == 1.0


def test_each_episode_that_is_played_is_the_same_on_any_ranks() -> None:
    env, policy = simulator("W", Warehouse, ""), np.ones(60, dtype=np.int32)
    alone = earned(env, policy, 4, 7, SerialCommunicator())
    for found in on_ranks(3, lambda communicator: earned(env, policy, 4, 7, communicator)):
        np.testing.assert_array_equal(found, alone)


def test_the_time_limit_begins_anew_but_what_is_learned_looks_beyond_it() -> None:
    env = simulator("Line", broken_envs.Line, "", time_limit=1)
    settings = Settings(env="Line", environments=64, round_steps=4, epsilon=1.0, algorithm="counts", sweeps=100)
    trial = restore(env, learn(env, settings, SerialCommunicator(), 20), 20, SerialCommunicator())
    assert (trial.elapsed == 0).all()
    assert trial.at.q[0, 1] > 0.9  # though no episode came from state 0 to the end


def test_a_sound_environment_passes() -> None:
    found = check(Warehouse, simulator("Warehouse", Warehouse, ""))
    assert found["states"] == 60
    assert found["ends"] > 10


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NotANumber", ["state 2", "reward is nan"]),
        ("Beyond", ["state 4, action on", "leads to state 5", "0 to 4"]),
        ("StartsBeyond", ["reset gives state", "0 to 4"]),
        ("Two", ["step returns", "state, reward, terminated"]),
        ("Fraction", ["next state is", "whole number"]),
        ("Maybe", ["terminated is 7", "True or False"]),
        ("Dice", ["same words differ", "pure"]),
        ("WritesWords", ["changes its words"]),
        ("Raises", ["no way on"]),
        ("DoesNotCompile", ["must compile"]),
        ("Slow", ["step is not compiled", "@njit"]),
        ("NoStates", ["states is 0", "from 1"]),
        ("NoActions", ["actions is ()"]),
        ("NoLimit", ["has no time_limit"]),
    ],
)
def test_a_broken_rule_is_named_with_the_state(name: str, words: list[str]) -> None:
    env = getattr(broken_envs, name)
    with pytest.raises(DataError) as told:
        check(env, simulator(name, env, ""))
    assert str(told.value).startswith(f"{name}: ")
    assert all(word in str(told.value) for word in words), told.value


@pytest.mark.parametrize(("name", "words"), [("NotANumber", "state 2"), ("Beyond", "leads to state 5")])
def test_every_rank_hears_of_a_rule_that_is_broken_while_learning(name: str, words: str) -> None:
    env = simulator(name, getattr(broken_envs, name), "")
    settings = Settings(env=name, environments=4, round_steps=30)

    def told(communicator: Communicator) -> str:
        with pytest.raises(DataError) as mistake:
            learn(env, settings, communicator, 50)
        return str(mistake.value)

    found = on_ranks(3, told)
    assert len(set(found)) == 1
    assert words in found[0]


def test_rewards_that_are_all_different_are_refused() -> None:
    env = simulator("E", broken_envs.EveryRewardAnother, "")
    with pytest.raises(DataError, match="outcomes of one state and action"):
        learn(env, Settings(env="E", environments=64, round_steps=500), SerialCommunicator(), 8)


def test_the_parcel_is_delivered_at_the_door() -> None:
    words = np.full(4, 2**32 - 1, dtype=np.uint32)
    assert Warehouse.step(CELLS + DOOR - 1, 1, words, 0.1) == (CELLS + DOOR, 10.0, True)
    assert Warehouse.step(DOOR - 1, 1, words, 0.1) == (DOOR, -1.0, False)
