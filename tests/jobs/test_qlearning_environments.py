"""Environments that are not built in, as their user finds them: from a file, from Gymnasium, cut into cells."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import hpcjobs, story
from rl import broken_envs

from hpcjobs.cli import check_env, new
from hpcjobs.data.schema import text
from hpcjobs.errors import DataError, RunFolderError, SettingsError, UserError
from hpcjobs.jobs import qlearning
from hpcjobs.jobs._qlearning_course import refuse_another
from hpcjobs.jobs._qlearning_env import find
from hpcjobs.jobs._qlearning_settings import Settings
from hpcjobs.rl.named import make
from hpcjobs.rl.simulator import Simulator
from hpcjobs.rl.table import Table
from hpcjobs.runs.code import all_sources, copied
from hpcjobs.settings import build

WAREHOUSE = Path(__file__).parents[2] / "examples" / "warehouse.py"


def test_a_users_environment_is_learned_on_ranks_and_from_its_copy(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(WAREHOUSE.read_text())
    learn = ("run", "qlearning", "--env", "own.py:Warehouse", "--algorithm", "counts", "--steps", 40_000)
    hpcjobs(tmp_path, *learn, "-n", 2, "--out", "run")
    found = story(tmp_path, "run")
    assert found["settings"]["env"] == str(tmp_path / "own.py:Warehouse")
    assert -2 < found["result"]["return"] < 0
    assert found["history"]["return"][-1] > found["history"]["return"][0]
    (tmp_path / "own.py").unlink()
    (tmp_path / "run" / "code").mkdir()
    (tmp_path / "run" / "code" / "own.py").write_text(WAREHOUSE.read_text())
    hpcjobs(tmp_path, "resume", "run", "--steps", 80_000)
    assert story(tmp_path, "run")["result"]["steps"] == 81_920


def test_a_run_does_not_go_on_in_an_environment_that_has_changed() -> None:
    refuse_another(text("one"), "one", "own.py:Own")
    with pytest.raises(RunFolderError, match=r"--env own\.py:Own: has changed since this run began"):
        refuse_another(text("one"), "two", "own.py:Own")


def test_what_is_sent_to_a_cluster_holds_the_file_of_the_environment(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text("x = 1\n")
    assert all_sources("qlearning", {"env": f"{own}:Name", "seed": 0}) == {Path("own.py"): b"x = 1\n"}
    assert all_sources("qlearning", {"env": "Taxi"}) == {}
    assert copied(own, tmp_path / "none") == own
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "own.py").write_text("")
    assert copied(own, tmp_path / "code") == tmp_path / "code" / "own.py"


@pytest.mark.parametrize("name", ["FrozenLake", "Taxi", "CliffWalking"])
def test_an_environment_of_gymnasium_that_tells_its_chances_becomes_the_same_table(name: str) -> None:
    gymnasium = pytest.importorskip("gymnasium")
    from hpcjobs.rl import gym

    number = {"Taxi": "v4", "FrozenLake": "v1", "CliffWalking": "v1"}[name]
    found, ours = gym.make(name, lambda: gymnasium.make(f"{name}-{number}").unwrapped, 0, 0), make(name)
    assert isinstance(found, Table)
    np.testing.assert_array_equal(found.outcomes, ours.outcomes)
    np.testing.assert_array_equal(found.rewards, ours.rewards)
    np.testing.assert_array_equal(found.starts, ours.starts)


def test_another_one_of_gymnasium_is_played_and_rounds_do_not_depend_on_ranks() -> None:
    pytest.importorskip("gymnasium")
    from clustering.threads_comm import on_ranks
    from rl.test_own_environments import learn, same

    from hpcjobs.parallel.communicator import SerialCommunicator

    settings = Settings(env="MountainCarContinuous-v0", bins=5, environments=3, round_steps=7)
    with pytest.raises(DataError, match="expected Discrete"):
        find(settings)
    settings = Settings(env="jobs.gym_envs:walk", bins=4, environments=3, round_steps=30)
    whole = learn(played(settings), settings, SerialCommunicator(), 4)
    assert whole["visits"].sum() == 3 * 30 * 4
    for state in on_ranks(2, lambda communicator: learn(played(settings), settings, communicator, 4)):
        same(state, whole)
    half = learn(played(settings), settings, SerialCommunicator(), 2)
    same(learn(played(settings), settings, SerialCommunicator(), 4, half, 2), whole)


def played(settings: Settings) -> Simulator:
    found = find(settings)
    assert isinstance(found, Simulator)
    return found


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"env": "./none.py:Name"}, ["none.py", "no such file"]),
        ({"env": f"{WAREHOUSE}:Warehous"}, ["did you mean 'Warehouse'?"]),
        ({"env": f"{WAREHOUSE}"}, ["expected warehouse.py:Name", "Warehouse"]),
        ({"env": f"{WAREHOUSE}:Warehouse", "slippery": True}, ["--slippery means nothing to"]),
        ({"env": f"{WAREHOUSE}:Warehouse", "bins": "4"}, ["--bins means nothing to"]),
        ({"env": f"{WAREHOUSE}:Warehouse", "algorithm": "online"}, ["--algorithm online", "batch-q or counts"]),
        ({"env": "Taxi", "bins": "4"}, ["--bins means nothing to Taxi"]),
        ({"env": "CartPole"}, ["--bins"]),
        ({"env": "CartPole", "bins": "4096"}, ["--bins 4096", "take fewer"]),
        ({"env": "no_module:name"}, ["--env no_module:name", "ModuleNotFoundError"]),
        ({"env": "math:nothing"}, ["math has no factory 'nothing'"]),
        ({"env": "math:tau"}, ["math has no factory 'tau'"]),
        ({"env": "jobs.gym_envs:walk"}, ["Box", "--bins"]),
        ({"env": "jobs.gym_envs:unbounded", "bins": "3"}, ["no bounds"]),
        ({"env": "jobs.gym_envs:many"}, ["a vector environment"]),
        ({"env": "jobs.gym_envs:nothing"}, ["no environment: None"]),
    ],
)
def test_environments_that_do_not_fit_are_named(flags: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UserError) as told:
        qlearning.check(build(Settings, None, flags))  # type: ignore[arg-type]
    assert all(word in str(told.value) for word in words), told.value


def test_check_env_says_that_the_contract_is_kept_or_which_rule_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_env.main([f"{WAREHOUSE}:Warehouse"]) == 0
    assert (
        "warehouse.py:Warehouse: keeps its contract in 20000 random steps: 60 of 60 states" in capsys.readouterr().out
    )
    with pytest.raises(DataError, match=r"broken_envs\.py:Beyond: state 4, action on: it leads to state 5"):
        check_env.main([f"{broken_envs.__file__}:Beyond"])
    with pytest.raises(SettingsError, match=r"expected an environment in a file"):
        check_env.main(["Taxi"])


def test_new_writes_an_environment_that_passes_its_own_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert new.main(["env", "Harbour"]) == 0
    assert check_env.main(["harbour.py:Harbour"]) == 0
    monkeypatch.syspath_prepend(tmp_path)
    tests = [test for name, test in runpy.run_path("test_harbour.py").items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        test()
    with pytest.raises(SettingsError, match="is there already"):
        new.main(["env", "harbour"])
    with pytest.raises(SettingsError, match="expected a letter"):
        new.main(["env", "../x"])
