"""Episodes that are played: right by the table, by the exact return, and one by one the same whatever their number."""

import numpy as np
import pytest

from hpcjobs.jobs._qlearning_evaluate import measures, trajectories
from hpcjobs.rl.classic import make as classic
from hpcjobs.rl.episodes import TERMINATED, TRUNCATED, record, record_played
from hpcjobs.rl.named import make
from hpcjobs.rl.planning import optimum


@pytest.mark.parametrize("name", ["FrozenLake", "Taxi", "CliffWalkingSlippery"])
def test_every_step_is_one_of_the_table_and_leads_to_the_next(name: str) -> None:
    table = make(name, time_limit=50)
    best = optimum(table, 0.99)
    played = record(table, best.policy, 3, 200)
    assert (played.action == best.policy[played.observation]).all()
    after = np.append(played.observation[1:], 0)
    after[played.starts[1:] - 1] = played.final
    over = np.zeros(len(after), dtype=bool)
    over[played.starts[1:] - 1] = True
    rows = table.outcomes[played.observation, played.action]
    possible = (rows == (2 * after + (played.flags & TERMINATED))[:, None]).any(axis=1)
    assert possible.all()
    assert ((played.flags > 0) == over).all()
    assert (
        ((played.flags & TRUNCATED) > 0) == (np.diff(played.starts) == 50).repeat(np.diff(played.starts)) * over
    ).all()
    assert np.isin(played.observation[played.starts[:-1]], table.starts).all()


def test_the_mean_return_is_the_exact_one_within_its_error() -> None:
    table = make("FrozenLake")
    best = optimum(table, 0.99)
    returns = record(table, best.policy, 1, 4000).returns
    assert abs(returns.mean() - best.earned) < 4 * returns.std() / np.sqrt(len(returns))


def test_an_episode_does_not_depend_on_how_many_there_are() -> None:
    table = make("Taxi")
    policy = optimum(table, 0.99).policy
    few, many = record(table, policy, 5, 3), record(table, policy, 5, 40)
    np.testing.assert_array_equal(few.starts, many.starts[:4])
    np.testing.assert_array_equal(few.observation, many.observation[: few.starts[3]])


def test_evaluation_tells_numbers_and_trajectories() -> None:
    played = record(make("CliffWalking"), optimum(make("CliffWalking"), 0.99).policy, 0, 7)
    assert measures(played) == {
        "episodes": 7, "return": -13.0, "standard_error": 0.0, "least_return": -13.0, "length": 13.0, "terminated": 1.0,
        "truncated": 0.0,
    }  # fmt: skip
    written = trajectories(played)
    assert written["/traj/t"].shape == (91,)
    assert np.asarray(written["/traj/episode_ptr"].values).tolist() == list(range(0, 92, 13))
    assert np.asarray(written["/traj/final_obs"].values).tolist() == [47] * 7


def test_episodes_of_numbers_hold_every_observation_and_the_last_apart() -> None:
    car = classic("MountainCar", time_limit=9)
    assert car.features is not None
    played = record_played(car, car.features, lambda seen: (seen[:, 1] > 0) * np.int32(2), 0, 5)
    assert played.observation.shape == (45, 2)
    assert played.final.shape == (5, 2)
    assert (played.flags.reshape(5, 9) == [[0] * 8 + [TRUNCATED]]).all()
    few = record_played(car, car.features, lambda seen: (seen[:, 1] > 0) * np.int32(2), 0, 2)
    np.testing.assert_array_equal(few.observation, played.observation[:18])
