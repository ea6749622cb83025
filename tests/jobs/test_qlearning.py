"""A Q-learning run, as its user finds it: the same on any ranks and after a stop, with the optimum beside it."""

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from command import hpcjobs, story
from numpy.typing import NDArray

from hpcjobs.cli.show import described
from hpcjobs.errors import DataError, SettingsError
from hpcjobs.jobs import qlearning
from hpcjobs.jobs.qlearning import Settings
from hpcjobs.parallel.communicator import SerialCommunicator
from hpcjobs.report.kinds import Material
from hpcjobs.runs.model import read_model
from hpcjobs.settings import build

RUN = ("run", "qlearning", "--env", "FrozenLake", "--environments", 10, "--round-steps", 160)
LAKE = (*RUN, "--steps", 300_000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on one rank, `one`."""
    made = tmp_path_factory.mktemp("qlearning")
    hpcjobs(made, *LAKE, "--out", "one")
    return made


def arrays(folder: Path, name: str) -> dict[str, NDArray[Any]]:
    with h5py.File(folder / name / "result.h5") as file:
        return {name: item[()] for name, item in file["result"].items()}


def test_three_ranks_leave_the_same_result_and_the_same_course(folder: Path) -> None:
    hpcjobs(folder, *LAKE, "-n", 3, "--out", "three")
    one, three = story(folder, "one"), story(folder, "three")
    assert one["digest"] == three["digest"]
    assert {name: column for name, column in one["history"].items() if name != "seconds"} == {
        name: column for name, column in three["history"].items() if name != "seconds"
    }


def test_a_run_that_grows_on_other_ranks_ends_like_one_that_was_asked_for_all(folder: Path) -> None:
    hpcjobs(folder, *RUN, "--steps", 100_000, "--out", "part")
    hpcjobs(folder, "resume", "part", "--steps", 300_000, "-n", 2)
    assert story(folder, "part")["digest"] == story(folder, "one")["digest"]
    assert story(folder, "part")["history"]["return"] == story(folder, "one")["history"]["return"]


def test_the_result_is_consistent_and_tells_the_optimum(folder: Path) -> None:
    found = arrays(folder, "one")
    acts = found["acts"] == 1
    assert (found["counts"].sum(axis=2) == found["visits"]).all()
    assert found["visits"].sum() == found["steps"] == 300_800  # whole rounds of 1600
    assert (found["visits"][~acts] == 0).all()
    assert (found["q"][~acts] == 0).all()
    assert (found["policy"] == found["q"].argmax(axis=1)).all()
    assert (found["value"] == found["q"].max(axis=1)).all()
    assert found["optimal_return"] == pytest.approx(0.740164897758)
    assert found["gap"] == found["optimal_return"] - found["return"]
    assert found["error"] == np.abs(found["q"] - found["optimal_q"])[acts].max()
    assert found["coverage"] == 1
    assert [bytes(action) for action in found["action"]] == [b"left", b"down", b"right", b"up"]


def test_show_draws_the_policy(folder: Path) -> None:
    told = described(story(folder, "one"))
    assert [len(row) for row in told["policy"].splitlines()] == [4, 4, 4, 4]
    assert told["policy"].replace("\n", "")[0] == "←"
    assert [told["policy"].replace("\n", "")[cell] for cell in (5, 7, 11, 12, 15)] == list("HHHHG")
    assert told["optimum"].startswith("0.740165 ")


def test_the_policy_can_be_played_from_its_folder_or_from_its_result_alone(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "one" / "result.h5", tmp_path / "alone.h5")
    found = [
        qlearning.evaluate(read_model(path, qlearning.MODEL), qlearning.Evaluation(episodes=400), SerialCommunicator())
        for path in (folder / "one" / "result.h5", tmp_path / "alone.h5")
    ]
    assert found[0].told == found[1].told
    told = found[0].told
    assert abs(told["return"] - told["return_in_result"]) < 4 * told["standard_error"]
    assert told["return_in_result"] == arrays(folder, "one")["return"]
    assert found[0].variables["/traj/episode_return"].shape == (400,)


def test_code_that_a_result_names_is_not_run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(folder / "one" / "result.h5", tmp_path / "alone.h5")
    model = read_model(tmp_path / "alone.h5", qlearning.MODEL)
    settings = {"settings": {"env": "/theirs.py:Name"}}
    monkeypatch.setattr("hpcjobs.jobs._qlearning_env.tell", lambda _: settings)
    with pytest.raises(SettingsError, match="is not built in; name the folder of the run"):
        qlearning.evaluate(model, qlearning.Evaluation(), SerialCommunicator())


def test_the_policy_of_another_environment_is_refused(folder: Path) -> None:
    model = read_model(folder / "one" / "result.h5", qlearning.MODEL)
    model.arrays["environment"] = np.array(b"another")
    with pytest.raises(DataError, match="--env FrozenLake: the environment is another one now"):
        qlearning.evaluate(model, qlearning.Evaluation(), SerialCommunicator())


def test_the_page_shows_curves_and_maps(folder: Path) -> None:
    found = list(qlearning.figures(Material(arrays(folder, "one"), story(folder, "one")["history"])))
    assert [figure.title for figure in found] == ["Return", "Error of the values", "Maps"]
    assert hpcjobs(folder, "report", "one").stdout.strip().endswith("report.html")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({}, ["--env is missing"]),
        ({"env": "FrozenLak"}, ["--env FrozenLak", "did you mean 'FrozenLake'?"]),
        ({"env": "Chess"}, ["--env Chess", "known: ", "Taxi"]),
        ({"env": "CartPole-v1"}, ["continuous", "FrozenLake8x8"]),
        ({"env": "Taxi", "gamma": "0"}, ["--gamma", "> 0"]),
        ({"env": "Taxi", "gamma": "1.01"}, ["--gamma", "<= 1"]),
        ({"env": "Taxi", "gamma": "nan"}, ["--gamma", "nan"]),
        ({"env": "Taxi", "map": "SG"}, ["--map means nothing to Taxi"]),
        ({"env": "Taxi", "slippery": True}, ["--slippery means nothing to Taxi"]),
        ({"env": "CliffWalking", "success_rate": "0.5"}, ["--success-rate means nothing to CliffWalking"]),
        ({"env": "FrozenLake", "slippery": False, "success_rate": "0.5"}, ["--success-rate", "--no-slippery"]),
        ({"env": "FrozenLake", "success_rate": "1.5"}, ["--success-rate is 1.5", "0 to 1"]),
        ({"env": "FrozenLake", "map": ""}, ["--map ''", "row 1 has 0 cells"]),
        ({"env": "FrozenLake", "map": "SFX,FFG"}, ["--map", "row 1", "'X'", "S (start)"]),
        ({"env": "FrozenLake", "map": "SF,FFG"}, ["--map", "row 2 has 3 cells, row 1 has 2"]),
        ({"env": "FrozenLake", "map": "SF,FF"}, ["--map", "no G (goal)"]),
        ({"env": "FrozenLake", "map": "FF,FG"}, ["--map", "no S (start)"]),
        ({"env": "Taxi", "steps": "0"}, ["--steps", ">= 1"]),
        ({"env": "Taxi", "environments": "0"}, ["--environments", ">= 1"]),
        ({"env": "Taxi", "algorithm": "sarsa"}, ["--algorithm", "batch-q"]),
        ({"env": "Taxi", "bonus": "1"}, ["--bonus", "counts"]),
        ({"env": "Taxi", "algorithm": "counts", "step_size": "0.1"}, ["--step-size", "counts"]),
        ({"env": "Taxi", "epsilon": "2"}, ["--epsilon", "<= 1"]),
    ],
)
def test_settings_that_do_not_fit_are_named(flags: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(SettingsError) as told:
        qlearning.check(build(Settings, None, flags))  # type: ignore[arg-type]
    assert all(word in str(told.value) for word in words), told.value


def test_steps_that_are_no_whole_rounds_are_rounded_up_and_it_is_said(tmp_path: Path) -> None:
    ended = hpcjobs(tmp_path, "run", "qlearning", "--env", "CliffWalking", "--steps", 2049, "--out", "run")
    assert "--steps 2049 become 4096: 2 whole rounds" in ended.stderr
    assert story(tmp_path, "run")["result"]["steps"] == 4096


def test_memory_is_known_before_the_queue() -> None:
    small, large = (qlearning.need(Settings(env=env), 1) for env in ("FrozenLake", "Taxi"))
    assert 2**28 < small < large < 2**30
