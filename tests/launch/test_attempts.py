"""How attempts at a run begin: what was cancelled is not continued, what was preempted is told so."""

import json
from pathlib import Path

import pytest
from command import hpcjobs
from pretend import end, new_run

from hpcjobs.launch.attempt import begin, stays_cancelled
from hpcjobs.launch.slurm import control, states
from hpcjobs.runs.folder import RunFolder

JOB = """
import msgspec


class Settings(msgspec.Struct, frozen=True):
    pass


def run(settings, context):
    return context.publish_result("nothing", {})
"""


@pytest.fixture
def in_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Job 12, which Slurm has started a second time."""
    for name in ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"JOB_ID": "12", "RESTART_COUNT": "1", "CLUSTER_NAME": "here"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)


def mark(folder: RunFolder, *jobs: str) -> None:
    folder.cancelled.write_text(json.dumps({"jobs": jobs, "time": ""}))


@pytest.mark.usefixtures("in_job")
def test_only_a_cancelled_job_that_is_started_again_stays_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path)
    assert not stays_cancelled(folder)
    mark(folder, "11")
    assert not stays_cancelled(folder)
    mark(folder, "11", "12")
    assert stays_cancelled(folder)
    monkeypatch.delenv("SLURM_RESTART_COUNT")
    assert not stays_cancelled(folder)


def test_a_cancelled_job_that_slurm_starts_again_does_not_run(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(JOB)
    run = new_run(tmp_path / "run")
    wish = json.loads(run.settings.read_text()) | {"job": str(tmp_path / "job.py")}
    run.settings.write_text(json.dumps(wish))
    end(run, 75, "stopped", job="12", cause="time_limit")
    before = run.outcome.read_bytes()
    mark(run, "12")
    again = {"SLURM_JOB_ID": "12", "SLURM_RESTART_COUNT": "1"}
    ended = hpcjobs(tmp_path, "resume", run.path, code=75, env=again)
    assert "cancelled: not continued" in ended.stderr
    assert run.outcome.read_bytes() == before
    assert not run.lease.exists()
    hpcjobs(tmp_path, "resume", run.path, env=again | {"SLURM_JOB_ID": "13"})


@pytest.mark.usefixtures("in_job")
def test_a_job_that_was_terminated_and_started_again_was_preempted(tmp_path: Path) -> None:
    folder = new_run(tmp_path / "run")
    end(folder, 75, "stopped", job="12", cause="terminated")
    outcome = json.loads(folder.outcome.read_text())
    outcome["attempts"][0]["reason"] = "stopped by SIGTERM at a checkpoint"
    folder.outcome.write_text(json.dumps(outcome))
    before, this = begin(folder, 2, 1)
    assert before["reason"] == "preempted: stopped by SIGTERM at a checkpoint"
    assert (this["job_id"], this["restarts"], this["cluster"]) == ("12", 1, "here")


@pytest.mark.parametrize("state", ["LAUNCH_FAILED", "NODE_FAIL", "CANCELLED by 1000", "CANCELLED+", "gone"])
def test_the_controller_and_the_verdict_agree_on_what_has_ended(state: str) -> None:
    assert control.ended(state)
    assert state == "gone" or states.ended(state)
    assert not any(control.ended(going) for going in ("", "RUNNING", "PENDING", "REQUEUED", "WIBBLING"))
