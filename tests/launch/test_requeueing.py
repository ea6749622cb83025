"""Exit code 75 means stopped at a checkpoint, not run again: who goes back into the queue, and who does not."""

import json
from pathlib import Path
from typing import Any

import pytest

from hpcjobs.launch.requeueing import refused
from hpcjobs.runs.folder import RunFolder

ATTEMPT = {"id": "a", "first_step": 3, "last_step": 9, "job_id": "12"}
STOPPED = {
    "state": "stopped",
    "exit_code": 75,
    "reason": "stopped by SIGUSR1 at a checkpoint",
    "ended": "",
    "digest": "",
}


def folder_with(path: Path, **outcome: Any) -> RunFolder:
    content = STOPPED | {"cause": "time_limit", "attempts": [ATTEMPT]} | outcome
    (path / "outcome.json").write_text(json.dumps(content))
    return RunFolder(path)


def test_a_run_that_met_its_time_limit_and_advanced_goes_on(tmp_path: Path) -> None:
    assert refused(folder_with(tmp_path), "12", 0, 10) is None
    assert refused(folder_with(tmp_path, cause="preempted"), "12_3", 9, 10) is None


@pytest.mark.parametrize(
    ("job", "restarts", "outcome", "message"),
    [
        ("", 0, {}, "not inside a Slurm job"),
        ("12", 0, {"cause": "terminated"}, "did not end at a time limit"),
        ("12", 0, {"cause": "finished"}, "did not end at a time limit"),
        ("12", 0, {"attempts": [ATTEMPT | {"last_step": 3}]}, "did not get beyond step 3"),
        ("12", 10, {}, "requeued 10 times already"),
    ],
)
def test_what_must_not_go_on_by_itself_says_why(
    tmp_path: Path, job: str, restarts: int, outcome: dict[str, Any], message: str
) -> None:
    assert message in str(refused(folder_with(tmp_path, **outcome), job, restarts, 10))


@pytest.mark.parametrize(("marked", "job"), [("12", "12"), ("12", "12_3"), ("12_3", "12_3")])
def test_a_cancelled_job_stays_cancelled(tmp_path: Path, marked: str, job: str) -> None:
    (tmp_path / "cancelled").write_text(json.dumps({"jobs": [marked], "time": ""}))
    assert refused(folder_with(tmp_path), job, 0, 10) == "it was cancelled"
    assert refused(folder_with(tmp_path), "99", 0, 10) is None


def test_a_run_without_an_outcome_does_not_go_on(tmp_path: Path) -> None:
    assert "nothing is known" in str(refused(RunFolder(tmp_path), "12", 0, 10))
