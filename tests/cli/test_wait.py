"""`hpcjobs wait`: the exit code of the run, whoever tells it first."""

import json
import signal
from pathlib import Path

import pytest
from command import hpcjobs, refused, wait_until
from pretend import Pretend, end, new_run, sent, watcher


@pytest.mark.parametrize(
    ("code", "cause"),
    [(0, "finished"), (2, "mistake"), (75, "interrupted"), (1, "failed")],
)
def test_a_run_of_this_machine_that_has_ended_gives_its_exit_code(
    tmp_path: Path, slurm: Pretend, code: int, cause: str
) -> None:
    end(new_run(tmp_path / "run"), code, "why not", cause=cause)
    ended = hpcjobs(tmp_path, "wait", "run", code=code)
    assert ("why not" in ended.stderr) == bool(code)
    assert slurm.calls("squeue") == []


def test_the_highest_code_of_several_wins(tmp_path: Path, slurm: Pretend) -> None:
    for name, code in (("a", 0), ("b", 75), ("c", 1)):
        end(new_run(tmp_path / name), code, "")
    told = json.loads(hpcjobs(tmp_path, "wait", "a", "b", "c", "--json", code=75).stdout)
    assert told["exit_code"] == 75
    assert [one["exit_code"] for one in told["runs"]] == [0, 75, 1]
    hpcjobs(tmp_path, "wait", "a", "c", code=1)


def test_a_job_that_is_done_is_noticed_without_asking_slurm_again(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "run")
    sent(run.path, "12")
    slurm.queue(job12="RUNNING")
    with watcher(tmp_path, "wait") as waiter:
        wait_until(lambda: slurm.calls("squeue"), "the first look")
        end(run, 0, "finished", job="12")
        assert waiter.wait(timeout=30) == 0
    assert len(slurm.calls("squeue")) <= 2


def test_a_job_that_stops_at_its_time_limit_and_is_requeued_is_waited_for(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "run")
    sent(run.path, "12")
    slurm.queue(job12="RUNNING")
    with watcher(tmp_path, "wait", "run") as waiter:
        wait_until(lambda: slurm.calls("squeue"), "the first look")
        end(run, 75, "stopped by SIGUSR1 at a checkpoint", job="12", cause="time_limit")
        asked = len(slurm.calls("squeue"))
        wait_until(lambda: len(slurm.calls("squeue")) > asked, "Slurm to be asked whether it goes on")
        assert waiter.poll() is None
        slurm.queue(job12="PENDING BeginTime")
        asked = len(slurm.calls("squeue"))
        wait_until(lambda: len(slurm.calls("squeue")) > asked, "the next look")
        assert waiter.poll() is None
        end(run, 0, "finished", job="12")
        slurm.queue(job12="COMPLETED")
        assert waiter.wait(timeout=60) == 0


def test_a_job_that_stops_and_does_not_go_on_ends_the_waiting_with_75(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "run")
    sent(run.path, "12")
    slurm.queue(job12="RUNNING")
    with watcher(tmp_path, "wait", "run") as waiter:
        wait_until(lambda: slurm.calls("squeue"), "the first look")
        end(run, 75, "stopped by SIGUSR1 at a checkpoint", job="12", cause="time_limit")
        slurm.queue(job12="FAILED NonZeroExitCode")
        assert waiter.wait(timeout=60) == 75


def test_time_is_up_with_124_and_the_run_goes_on(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "run")
    sent(run.path, "12")
    slurm.queue(job12="PENDING Priority")
    ended = hpcjobs(tmp_path, "wait", "run", "--timeout", 0.1, code=124)
    assert "go on" in ended.stderr
    assert slurm.calls("scancel") == []


def test_ctrl_c_stops_the_waiting_never_the_job(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "run")
    sent(run.path, "12")
    slurm.queue(job12="RUNNING")
    with watcher(tmp_path, "wait", "run") as waiter:
        wait_until(lambda: slurm.calls("squeue"), "the first look")
        waiter.send_signal(signal.SIGINT)
        err = waiter.communicate(timeout=30)[1]
    assert waiter.returncode == 130
    assert "the run goes on" in err and "Traceback" not in err
    assert slurm.calls("scancel") == []


def test_a_run_that_was_never_started_is_not_waited_for(tmp_path: Path, slurm: Pretend) -> None:
    new_run(tmp_path / "run")
    assert "never started" in refused(tmp_path, "wait", "run")


def test_a_silent_slurm_is_waited_for(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "run")
    sent(run.path, "12")
    slurm.break_down()
    with watcher(tmp_path, "wait", "run") as waiter:
        assert waiter.stderr is not None
        assert "does not answer" in waiter.stderr.readline()
        end(run, 0, "finished", job="12")
        assert waiter.wait(timeout=30) == 0
