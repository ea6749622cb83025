"""Exit code 75 means stopped at a checkpoint, not run again: who goes back into the queue, and who does not."""

import json
from pathlib import Path
from typing import Any

import pytest
from launch.pretend import Commands, install

from hpcjobs.cli import requeue as verb
from hpcjobs.launch import requeueing
from hpcjobs.launch.requeueing import refused
from hpcjobs.launch.slurm import control
from hpcjobs.runs.folder import RunFolder

AT_LIMIT = "stopped by SIGUSR1 at a checkpoint"
ATTEMPT = {"id": "a", "first_step": 3, "last_step": 9, "job_id": "12", "reason": AT_LIMIT}
STOPPED = {
    "state": "stopped",
    "exit_code": 75,
    "reason": AT_LIMIT,
    "ended": "",
    "digest": "",
}


def folder_with(path: Path, **outcome: Any) -> RunFolder:
    content = STOPPED | {"cause": "time_limit", "attempts": [ATTEMPT]} | outcome
    (path / "outcome.json").write_text(json.dumps(content))
    return RunFolder(path)


def test_a_run_that_met_its_time_limit_and_advanced_goes_on(tmp_path: Path) -> None:
    assert refused(folder_with(tmp_path), "12", 10) is None
    assert refused(folder_with(tmp_path, cause="preempted"), "12_3", 10) is None


@pytest.mark.parametrize(
    ("job", "outcome", "message"),
    [
        ("", {}, "not inside a Slurm job"),
        ("12", {"cause": "terminated"}, "did not end at a time limit"),
        ("12", {"cause": "finished"}, "did not end at a time limit"),
        ("12", {"attempts": [ATTEMPT | {"last_step": 3}]}, "did not get beyond step 3"),
        ("12", {"attempts": [ATTEMPT] * 11}, "requeued 10 times already"),
    ],
)
def test_what_must_not_go_on_by_itself_says_why(
    tmp_path: Path, job: str, outcome: dict[str, Any], message: str
) -> None:
    assert message in str(refused(folder_with(tmp_path, **outcome), job, 10))


def test_only_time_limits_of_this_job_count_against_the_most_requeues(tmp_path: Path) -> None:
    other = [ATTEMPT | {"reason": "killed"}, ATTEMPT | {"reason": "preempted: x"}, ATTEMPT | {"job_id": "11"}]
    assert refused(folder_with(tmp_path, attempts=[*other * 5, ATTEMPT, ATTEMPT]), "12", 2) is None
    assert "requeued 2 times" in str(refused(folder_with(tmp_path, attempts=[*other, *[ATTEMPT] * 3]), "12", 2))


def test_a_termination_goes_on_where_slurm_says_that_it_preempted(tmp_path: Path) -> None:
    assert refused(folder_with(tmp_path, cause="terminated"), "12", 10, preempted=True) is None
    for cause in ("finished", "interrupted", "failed", "mistake"):
        folder = folder_with(tmp_path, cause=cause)
        assert "did not end" in str(refused(folder, "12", 10, preempted=True))
    stuck = folder_with(tmp_path, cause="terminated", attempts=[ATTEMPT | {"last_step": 3}])
    assert "did not get beyond" in str(refused(stuck, "12", 10, preempted=True))
    (tmp_path / "cancelled").write_text(json.dumps({"jobs": ["12"], "time": ""}))
    assert "cancelled" in str(refused(folder_with(tmp_path, cause="terminated"), "12", 10, preempted=True))


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Job 12, as seen from its inside."""
    for name in ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    (tmp_path / "slurm").mkdir()
    commands = install(tmp_path / "slurm", monkeypatch)
    commands.say("squeue.named", "RUNNING\n")
    return commands


def test_the_verb_requeues_what_was_terminated_only_as_preempted(tmp_path: Path, slurm: Commands) -> None:
    (tmp_path / "settings.json").write_text(json.dumps({"job": "x", "settings": {}, "run_uuid": "u"}))
    folder_with(tmp_path, cause="terminated")
    assert verb.main([str(tmp_path)]) == 1
    assert slurm.calls("scontrol") == []
    assert verb.main(["--preempted", str(tmp_path)]) == 0
    assert slurm.calls("scontrol") == ["scontrol requeue 12"]


@pytest.mark.parametrize("state", ["CANCELLED", "COMPLETING"])
def test_a_job_that_slurm_no_longer_calls_running_stays_where_it_is(
    tmp_path: Path, slurm: Commands, state: str
) -> None:
    slurm.say("squeue.named", f"{state}\n")
    assert requeueing.requeue(folder_with(tmp_path)) == f"Slurm says that job 12 is {state}"
    assert slurm.calls("scontrol") == []


def test_a_run_that_is_cancelled_while_slurm_is_asked_stays_cancelled(
    tmp_path: Path, slurm: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_with(tmp_path)

    def cancelled_meanwhile(job: str) -> str:
        (tmp_path / "cancelled").write_text(json.dumps({"jobs": [job], "time": ""}))
        return "RUNNING"

    monkeypatch.setattr(control, "state", cancelled_meanwhile)
    assert requeueing.requeue(folder) == "it was cancelled"
    assert slurm.calls("scontrol") == []


@pytest.mark.parametrize(("marked", "job"), [("12", "12"), ("12", "12_3"), ("12_3", "12_3")])
def test_a_cancelled_job_stays_cancelled(tmp_path: Path, marked: str, job: str) -> None:
    (tmp_path / "cancelled").write_text(json.dumps({"jobs": [marked], "time": ""}))
    assert refused(folder_with(tmp_path), job, 10) == "it was cancelled"
    assert refused(folder_with(tmp_path), "99", 10) is None


def test_a_run_without_an_outcome_does_not_go_on(tmp_path: Path) -> None:
    assert "nothing is known" in str(refused(RunFolder(tmp_path), "12", 10))
