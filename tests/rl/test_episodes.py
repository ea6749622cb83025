"""Episodes that are played: right by the table, by the exact return, and one by one the same whatever their number."""

from typing import Any

import numpy as np
import pytest

from hpcjobs.errors import DataError
from hpcjobs.jobs._qlearning_evaluate import evaluate
from hpcjobs.jobs._qlearning_settings import Settings
from hpcjobs.rl.episodes import TERMINATED, TRUNCATED, record
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
    settings, table = Settings(env="CliffWalking"), make("CliffWalking")
    best = optimum(table, 0.99)
    result: dict[str, Any] = {
        "policy": best.policy,
        "return": np.array(best.earned),
        "environment": np.array(table.digest().encode()),
    }
    told, written = evaluate(settings, result, 7, 0)
    assert told == {
        "return": -13.0, "standard_error": 0.0, "return_in_result": -13.0, "length": 13.0, "terminated": 1.0,
        "truncated": 0.0,
    }  # fmt: skip
    assert written["/traj/t"].shape == (91,)
    assert np.asarray(written["/traj/episode_ptr"].values).tolist() == list(range(0, 92, 13))
    assert np.asarray(written["/traj/final_obs"].values).tolist() == [47] * 7
    result["environment"] = np.array(b"another")
    with pytest.raises(DataError, match="--env CliffWalking"):
        evaluate(settings, result, 7, 0)
