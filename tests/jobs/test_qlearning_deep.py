"""A deep run, as its user finds it: the same result on any ranks and after a stop, and the network that earned most."""

from pathlib import Path

import numpy as np
from jobs.in_threads import Run, run_on

from hpcjobs.jobs import qlearning
from hpcjobs.parallel.communicator import SerialCommunicator
from hpcjobs.runs.model import read_model

SMALL: dict[str, object] = {
    "env": "CartPole", "algorithm": "pqn", "environments": 6, "round_steps": 16, "steps": 96 * 8, "time_limit": 40,
    "pqn": "hidden=8,shards=3,batches=2,epochs=1",
}  # fmt: skip


def ended(folder: Path, name: str, ranks: int = 1) -> Run:
    found = run_on(qlearning, folder, ranks, name=name, **SMALL)
    assert found is not None
    return found


def test_ranks_and_a_stop_do_not_change_the_result(tmp_path: Path) -> None:
    whole = ended(tmp_path, "one")
    assert ended(tmp_path, "three", 3).digest == whole.digest
    assert run_on(qlearning, tmp_path, 2, name="part", stop_after=5, **SMALL) is None
    resumed = ended(tmp_path, "part", 3)
    assert resumed.digest == whole.digest
    np.testing.assert_array_equal(resumed.history["return"], whole.history["return"])
    assert whole.history["environment_steps"][-1] == 96 * 8  # the last network is a candidate too


def test_the_network_that_earned_most_is_kept_and_can_be_played(tmp_path: Path) -> None:
    found = ended(tmp_path, "run")
    assert abs(found.result["return"] - found.history["return"].max()) < 4 * found.result["return_error"] + 2
    model = read_model(tmp_path / "run" / "result.h5", qlearning.MODEL)
    told = qlearning.evaluate(model, qlearning.Evaluation(episodes=200), SerialCommunicator()).told
    assert abs(told["return"] - told["return_in_result"]) < 5 * (told["standard_error"] + found.result["return_error"])
