"""`hpcjobs cancel`: the mark first, then Slurm or the process, and never twice."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from command import hpcjobs, refused, start, wait_until
from pretend import Pretend, end, new_run, new_sweep, sent

from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.process import myself, start_ticks

WAITING = """
import time
import msgspec
import numpy as np

class Settings(msgspec.Struct, frozen=True, kw_only=True):
    pass

def run(settings, context):
    step, _ = context.resume(every_steps=1, every_s=0)
    while True:
        time.sleep(0.05)
        step += 1
        context.step_done(step, {"value": np.array(step)})
"""


def marks(path: Path) -> list[str]:
    return RunFolder(path).cancelled_jobs()


def asked(slurm: Pretend) -> list[str]:
    """The ids that scancel was given, in order."""
    return [job for call in slurm.calls("scancel") for job in call[1:]]


def cancelled(cwd: Path, *names: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(hpcjobs(cwd, "cancel", *names, "--json").stdout)
    return found


def test_a_job_is_marked_and_slurm_told(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "run")
    sent(run.path, "11", "12")
    slurm.queue(job12="RUNNING")
    ended = hpcjobs(tmp_path, "cancel", "12")
    assert "run (job 12): told to stop; it was running" in ended.stderr
    assert asked(slurm) == ["12"]
    assert marks(run.path) == ["12"]


def test_waiting_jobs_are_cancelled_before_those_that_make_room_for_them(tmp_path: Path, slurm: Pretend) -> None:
    runs = [new_run(tmp_path / f"run{number}") for number in range(4)]
    for number, run in enumerate(runs):
        sent(run.path, str(10 + number))
    slurm.queue(job10="RUNNING", job11="PENDING Priority", job12="RUNNING", job13="PENDING Resources")
    hpcjobs(tmp_path, "cancel", *(run.path for run in runs))
    assert asked(slurm) == ["11", "13", "10", "12"]


def test_many_ids_go_out_in_calls_of_at_most_500(tmp_path: Path, slurm: Pretend) -> None:
    tasks = new_sweep(tmp_path / "sweep", 1201)
    sent(tmp_path / "sweep", "20", arrays={"20": ("0-1200", 0)})
    slurm.queue(**{f"job20_{number}": "PENDING Priority" for number in range(1201)})
    told = cancelled(tmp_path, *(task.path for task in tasks[:1200]))
    assert all(one["asked"] for one in told)
    assert [len(call) - 1 for call in slurm.calls("scancel")] == [500, 500, 200]
    assert sorted(asked(slurm)) == sorted(f"20_{number}" for number in range(1200))
    assert marks(tasks[7].path) == ["20_7"] and marks(tasks[1200].path) == []


def test_a_whole_sweep_is_cancelled_by_the_number_of_its_array(tmp_path: Path, slurm: Pretend) -> None:
    tasks = new_sweep(tmp_path / "sweep", 6)
    sent(tmp_path / "sweep", "20", "21", arrays={"20": ("0-3", 0), "21": ("0-1", 4)})
    end(tasks[0], 0, "finished", job="20_0")
    slurm.queue(job20_1="RUNNING", job20_2="RUNNING", job20_3="RUNNING", job21_0="PENDING x", job21_1="PENDING x")
    ended = hpcjobs(tmp_path, "cancel", "sweep")
    assert asked(slurm) == ["21", "20"]
    assert "sweep: 5 of 6 tasks told to stop; they were 3 running, 2 pending; 1 done before" in ended.stderr
    assert marks(tasks[0].path) == []
    assert marks(tasks[5].path) == ["21_1"]
    assert "20_1" in marks(tmp_path / "sweep")


def test_one_array_job_of_a_sweep_leaves_the_other(tmp_path: Path, slurm: Pretend) -> None:
    new_sweep(tmp_path / "sweep", 6)
    sent(tmp_path / "sweep", "20", "21", arrays={"20": ("0-3", 0), "21": ("0-1", 4)})
    slurm.queue(job20_1="RUNNING", job21_0="PENDING x", job21_1="PENDING x")
    hpcjobs(tmp_path, "cancel", "21")
    assert asked(slurm) == ["21"]


def test_what_has_ended_is_left_alone(tmp_path: Path, slurm: Pretend) -> None:
    done, idle = new_run(tmp_path / "done"), new_run(tmp_path / "idle")
    sent(done.path, "12")
    end(done, 0, "finished", job="12")
    ended = hpcjobs(tmp_path, "cancel", done.path, idle.path)
    assert "done (job 12): nothing to stop: done" in ended.stderr
    assert "idle: nothing to stop: not started" in ended.stderr
    assert slurm.calls("scancel") == []
    assert not done.cancelled.exists()


def test_a_job_that_ends_meanwhile_is_no_failure(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "run")
    sent(run.path, "12")
    slurm.queue(job12="RUNNING")
    slurm.forget()
    hpcjobs(tmp_path, "cancel", "run")


def test_a_silent_slurm_leaves_the_mark_and_says_what_to_do(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "run")
    sent(run.path, "12")
    slurm.break_down()
    message = refused(tmp_path, "cancel", "run")
    assert "connect failure" in message and "marked as cancelled" in message and "again later" in message
    assert marks(run.path) == ["12"]


def test_marks_of_earlier_jobs_are_kept(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "run")
    for jobs in (("11",), ("11", "12")):
        sent(run.path, *jobs)
        slurm.queue(**{f"job{jobs[-1]}": "RUNNING"})
        hpcjobs(tmp_path, "cancel", "run")
    assert marks(run.path) == ["11", "12"]


def test_a_run_of_this_machine_saves_stops_and_says_that_it_was_cancelled(tmp_path: Path, slurm: Pretend) -> None:
    def state() -> str:
        (told,) = json.loads(hpcjobs(tmp_path, "status", "a", "--json").stdout)
        return str(told["state"])

    (tmp_path / "wait.py").write_text(WAITING)
    lease = tmp_path / "a" / "lease"
    with start(tmp_path, "run", "./wait.py", "--out", "a") as runner:
        wait_until(lease.exists, "the lease")
        assert "told to stop; it was running" in hpcjobs(tmp_path, "cancel", "a").stderr
        assert runner.wait(timeout=60) == 75
    assert hpcjobs(tmp_path, "cancel", "a").stderr.strip().endswith("nothing to stop: cancelled")
    assert slurm.calls("scancel") == []
    with start(tmp_path, "resume", "a") as runner:  # asked to go on after all
        wait_until(lease.exists, "the lease")
        assert state() == "running"
        runner.send_signal(signal.SIGTERM)
        assert runner.wait(timeout=60) == 75
    assert state() == "stopped"


def test_a_run_of_another_machine_is_named_with_its_process(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "run")
    owner = {"host": "elsewhere", "pid": os.getpid(), "started": 1, "boot": "x", "space": "y"}
    attempt = {"id": "1" * 16, "reason": "running", "started": "2026-01-01T00:00:00Z"}
    run.lease.write_text(json.dumps({"token": "1" * 16, "owner": owner, "attempts": [attempt]}))
    message = refused(tmp_path, "cancel", "run")
    assert f"process {os.getpid()} on elsewhere" in message and "kill -TERM" in message


def test_a_job_sent_by_hand_is_known_from_the_lease_it_holds(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "run")
    owner = {"host": "node7", "pid": 1, "started": 1, "boot": "x", "space": "y"}
    attempt = {"id": "1" * 16, "reason": "running", "started": "2026-01-01T00:00:00Z", "job_id": "12"}
    run.lease.write_text(json.dumps({"token": "1" * 16, "owner": owner, "attempts": [attempt]}))
    slurm.queue(job12="RUNNING")
    hpcjobs(tmp_path, "cancel", "12")
    assert asked(slurm) == ["12"]
    assert marks(run.path) == ["12"]


def runs_elsewhere(run: RunFolder, job: str, **owner: Any) -> None:
    """Write the lease of an attempt that goes on, in another job than the one sent last, or in none."""
    attempt = {"id": "1" * 16, "reason": "running", "started": "2026-01-02T00:00:00Z", "job_id": job}
    holder = {"host": "node7", "pid": 1, "started": 1, "boot": "x", "space": "y"} | owner
    run.lease.write_text(json.dumps({"token": "1" * 16, "owner": holder, "attempts": [attempt]}))


def test_a_run_that_went_on_in_a_job_sent_by_hand_ends_there(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "run")
    sent(run.path, "5")
    runs_elsewhere(run, "77")
    slurm.queue(job77="RUNNING")
    assert cancelled(tmp_path, "run")[0]["job_id"] == "77"
    assert asked(slurm) == ["77"]
    assert marks(run.path) == ["5", "77"]


def test_a_job_that_waits_beside_it_is_cancelled_first(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "run")
    sent(run.path, "5")
    runs_elsewhere(run, "77")
    slurm.queue(job5="PENDING Priority", job77="RUNNING")
    hpcjobs(tmp_path, "cancel", "run")
    assert asked(slurm) == ["5", "77"]


def test_a_run_that_went_on_as_a_process_of_this_machine_ends_there(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "run")
    sent(run.path, "5")
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        runs_elsewhere(run, "", **{**myself(), "pid": process.pid, "started": start_ticks(process.pid)})
        assert "run: told to stop; it was running" in hpcjobs(tmp_path, "cancel", "run").stderr
        assert process.wait(timeout=60) == -signal.SIGTERM
    assert slurm.calls("scancel") == []
