"""Deep Q-learning: returns by their definition, the same bits on any number of ranks and after a restart, CartPole."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from clustering.threads_comm import on_ranks
from numpy.typing import NDArray

from hpcjobs.errors import SettingsError
from hpcjobs.jobs import qlearning
from hpcjobs.jobs._qlearning_deep import deep_of, policy_of, prepared
from hpcjobs.jobs._qlearning_settings import Pqn, Settings
from hpcjobs.kernels.compiling import compile_deep
from hpcjobs.kernels.cpu import classic, philox, update, waves
from hpcjobs.kernels.cpu import mlp as mlp_twins
from hpcjobs.nn import mlp
from hpcjobs.parallel.communicator import Communicator, SerialCommunicator
from hpcjobs.rl import novelty, pqn
from hpcjobs.rl.classic import make
from hpcjobs.rl.waves import with_waves
from hpcjobs.settings import build

State = dict[str, NDArray[Any]]
SMALL = {"hidden": 16, "batches": 3, "epochs": 2, "shards": 3, "bonus": 0.1}


def learn(
    settings: Settings, communicator: Communicator, rounds: int, state: State | None = None, done: int = 0
) -> State:
    deep = deep_of(settings)
    simulator, net, grid = prepared(settings, make(settings.env, 0, settings.time_limit))
    brain = pqn.restore(deep, state or pqn.begin(deep, simulator, net, grid), done, communicator)
    while brain.rounds < rounds:
        pqn.play(deep, simulator, net, grid, brain, communicator)
    return brain.gather(communicator)


def same(found: State, expected: State) -> None:
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


@pytest.mark.parametrize("env", ["CartPole", "MountainCar", "Acrobot"])
def test_any_number_of_ranks_and_a_restart_with_another_number_learn_the_same(env: str) -> None:
    settings = Settings(
        env=env,
        algorithm="pqn",
        environments=7,
        round_steps=9,
        steps=63 * 6,
        time_limit=20,
        pqn=Pqn(**SMALL, waves=1),
    )
    whole = learn(settings, SerialCommunicator(), 6)
    assert np.isfinite(whole["parameters"]).all()
    assert whole["novelty"].sum() == 63 * 6
    for ranks in (2, 3, 4):  # 4 ranks for 3 shards: one has none
        for state in on_ranks(ranks, lambda communicator: learn(settings, communicator, 6)):
            same(state, whole)
    half = on_ranks(3, lambda communicator: learn(settings, communicator, 2))[0]
    for state in on_ranks(2, lambda communicator: learn(settings, communicator, 6, half, 2)):
        same(state, whole)


def test_any_number_of_ranks_sees_the_same_episodes() -> None:
    def earned(communicator: Communicator) -> NDArray[np.float64]:
        deep, simulator = deep_of(Settings(env="Acrobot", algorithm="pqn")), make("Acrobot", 0, 30)
        net = pqn.network(simulator, deep.hidden)
        policy = policy_of(net, mlp.first_parameters(net, 0))
        return pqn.earned(simulator, policy, 0, 3, 5, communicator)

    whole = earned(SerialCommunicator())
    assert (whole == -30).all()
    for ranks in (2, 4):  # 4 ranks for 3 episodes
        for found in on_ranks(ranks, earned):
            np.testing.assert_array_equal(found, whole)


def test_nothing_is_left_to_compile_when_the_work_has_begun() -> None:
    compile_deep()
    before = compiled()
    settings = Settings(env="Acrobot", algorithm="pqn", environments=4, steps=128, pqn=Pqn(**SMALL, waves=1))
    learn(settings, SerialCommunicator(), 1)
    assert compiled() == before


def compiled() -> list[int]:
    """For how many types each kernel was compiled."""
    kernels = [item for module in (classic, mlp_twins, philox, update, waves) for item in vars(module).values()]
    return [len(item.signatures) for item in kernels if "signatures" in dir(item)]


def test_lambda_returns_are_those_of_the_definition() -> None:
    draw = np.random.default_rng(0)
    reward, values = draw.normal(size=(2, 6, 1)).astype(np.float32)
    terminated, over = np.zeros((6, 1), dtype=bool), np.zeros((6, 1), dtype=bool)
    terminated[1], over[1], over[3] = True, True, True  # an end after step 1, a time limit after step 3
    blank = np.zeros((6, 1, 2), dtype=np.float32)
    seen = pqn.Seen(blank, blank[..., 0].astype(np.int32), reward, blank, values, terminated, over)
    deep = deep_of(Settings(env="CartPole", algorithm="pqn", gamma=0.9, pqn=Pqn(trace=0.7)))
    r, v = reward[:, 0].astype(float), values[:, 0].astype(float)
    last = r[5] + 0.9 * v[5]
    fourth = r[4] + 0.9 * (0.3 * v[4] + 0.7 * last)
    third = r[3] + 0.9 * v[3]  # cut off: what the network says of the state in which it was
    second = r[2] + 0.9 * (0.3 * v[2] + 0.7 * third)
    first = r[1]
    zeroth = r[0] + 0.9 * (0.3 * v[0] + 0.7 * first)
    found = pqn.lambda_returns(deep, seen)[:, 0]
    np.testing.assert_allclose(found, [zeroth, first, second, third, fourth, last], rtol=1e-5)


def test_the_state_at_the_time_limit_is_seen_and_not_the_one_that_follows() -> None:
    settings = Settings(
        env="MountainCar", algorithm="pqn", environments=4, round_steps=8, time_limit=5, pqn=Pqn(shards=1)
    )
    deep, simulator = deep_of(settings), make("MountainCar", 0, 5)
    net, grid = pqn.network(simulator, deep.hidden), novelty.for_numbers(2)
    brain = pqn.restore(deep, pqn.begin(deep, simulator, net, grid), 0, SerialCommunicator())
    seen = pqn.rollout(deep, simulator, net, brain)
    assert seen.over[:, 0].tolist() == [False] * 4 + [True] + [False] * 3
    assert not seen.terminated.any()
    assert (seen.features[5, :, 1] == 0).all()  # it begins at rest
    assert (seen.after[4, :, 1] != 0).all()
    np.testing.assert_array_equal(seen.after[:4], seen.features[1:5])


def test_cart_pole_is_learned() -> None:
    settings = Settings(
        env="CartPole", algorithm="pqn", environments=16, round_steps=64, steps=16 * 1024, seed=100,
        pqn=Pqn(hidden=64, shards=1, batches=8, learning_rate=1e-3, trace=0.8),
    )  # fmt: skip
    state = learn(settings, SerialCommunicator(), 16)
    deep, simulator = deep_of(settings), make("CartPole")
    policy = policy_of(pqn.network(simulator, deep.hidden), state["parameters"])
    assert (
        pqn.earned(simulator, policy, 0, 10, 0, SerialCommunicator()).mean() > 100
    )  # accept/qlearning.py: 475, ten seeds


def test_waves_are_cosines_of_every_order_in_each_number() -> None:
    car = with_waves(make("MountainCar"), 2)
    assert car.features is not None
    inner = np.array([[-0.3, 0.6], [0.07, 0.0]])  # numbers (0, 1) and (1, 0)
    x = np.array([[0.5, 1.0], [1.0, 0.5]])
    expected = [[math.cos(math.pi * (i * a + j * b)) for i, j in itertools.product(range(3), repeat=2)] for a, b in x]
    found = car.features(inner)
    np.testing.assert_allclose(found[:, :2], 2 * x - 1, atol=1e-6)
    np.testing.assert_allclose(found[:, 2:], np.array(expected)[:, 1:], atol=1e-6)
    assert with_waves(car, 0) is car


def test_a_bonus_falls_with_visits_and_with_time() -> None:
    grid = novelty.for_numbers(2)
    assert grid.cells == 400
    assert grid.cell(np.array([[-1.0, -1.0], [0.99, 5.0]], dtype=np.float32)).tolist() == [0, 399]
    counts = np.array([3, 0])
    np.testing.assert_allclose(grid.bonus(counts, 0.2, 0.0), [0.1, 0.2])
    np.testing.assert_allclose(grid.bonus(counts, 0.2, novelty.SHARE / 2), [0.05, 0.1])
    assert (grid.bonus(counts, 0.2, 0.9) == 0).all()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"env": "Taxi"}, ["pqn learns from numbers", "Taxi"]),
        ({"env": "CartPole", "bins": "4"}, ["--bins means nothing to --algorithm pqn"]),
        ({"env": "CartPole", "epsilon": "0.1"}, ["--epsilon means nothing to --algorithm pqn", "--pqn"]),
        ({"env": "CartPole", "environments": "3"}, ["--environments is 3", "--pqn shards 4"]),
        ({"env": "CartPole", "pqn": "batches=9999"}, ["--pqn batches is 9999"]),
        ({"env": "Acrobot", "pqn": "waves=4"}, ["--pqn waves is 4", "5^6", "take fewer"]),
        ({"env": "CartPole", "pqn": "trace=2"}, ["trace", "<= 1"]),
        ({"env": "CartPole", "pqn": "lambda=0.5"}, ["unknown key 'lambda'"]),
        ({"env": "CartPole", "algorithm": "counts", "bins": "4", "pqn": "trace=0.5"}, ["--pqn means nothing to"]),
    ],
)
def test_settings_that_do_not_fit_are_named(flags: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(SettingsError) as told:
        qlearning.check(build(Settings, None, {"algorithm": "pqn"} | flags))  # type: ignore[arg-type]
    assert all(word in str(told.value) for word in words), told.value
