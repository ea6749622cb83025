"""`hpcjobs status`: what runs are doing, told by their folders and by one question to Slurm."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from command import hpcjobs, refused, wait_until
from pretend import Pretend, end, new_run, new_sweep, sent, watcher

from hpcjobs.runs.outcome import now


def told(cwd: Path, *names: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(hpcjobs(cwd, "status", *names, "--json").stdout)
    return found


def test_each_run_is_one_line_with_its_state_job_and_progress(tmp_path: Path, slurm: Pretend) -> None:
    waiting, running = new_run(tmp_path / "waits"), new_run(tmp_path / "runs")
    sent(waiting.path, "12")
    sent(running.path, "13")
    slurm.queue(job12="PENDING Priority", job13="RUNNING")
    reached = {"step": 30, "total": 300, "detail": "", "rate": 4.1, "seconds_left": 65.0, "time": now()}
    running.progress.write_bytes(msgspec.json.encode(reached))
    lines = {line.split()[0]: line for line in hpcjobs(tmp_path, "status").stdout.splitlines()}
    assert set(lines) == {"run", "waits", "runs"}
    assert "pending" in lines["waits"] and "12" in lines["waits"] and "Priority" in lines["waits"]
    assert "running" in lines["runs"] and "30/300" in lines["runs"] and "4.1/s" in lines["runs"]
    by_name = {one["name"]: one for one in told(tmp_path)}
    assert by_name["waits"]["state"] == "pending" and by_name["waits"]["reason"] == "Priority"
    assert by_name["runs"]["step"] == 30 and by_name["runs"]["rate"] == 4.1
    assert len(slurm.calls("squeue")) == 1  # the second command finds what the first was told


def test_without_a_name_only_runs_that_have_not_ended_are_shown(tmp_path: Path, slurm: Pretend) -> None:
    ended, going, idle = new_run(tmp_path / "ended"), new_run(tmp_path / "going"), new_run(tmp_path / "idle")
    sent(going.path, "12")
    slurm.queue(job12="RUNNING")
    end(ended, 0, "finished")
    assert [one["name"] for one in told(tmp_path)] == ["going"]
    assert told(tmp_path, "ended")[0]["state"] == "done"
    assert told(tmp_path, idle.path)[0]["state"] == "not started"


def test_nothing_going_on_says_so(tmp_path: Path, slurm: Pretend) -> None:
    assert "no run is going on" in hpcjobs(tmp_path, "status").stdout
    assert told(tmp_path) == []
    assert slurm.calls("squeue") == []


@pytest.mark.parametrize("name", ["12", "last", "som", "some-run"])
def test_a_run_is_found_by_job_last_and_the_beginning_of_its_name(tmp_path: Path, slurm: Pretend, name: str) -> None:
    other, run = new_run(tmp_path / "a" / "else"), new_run(tmp_path / "a" / "some-run")
    sent(other.path, "11")
    sent(run.path, "10", "12")
    slurm.queue(job12="RUNNING")
    assert [one["run"] for one in told(tmp_path, name)] == [str(run.path)]


def test_a_sweep_is_one_line_of_counts_and_named_alone_a_line_a_task(tmp_path: Path, slurm: Pretend) -> None:
    tasks = new_sweep(tmp_path / "sweep", 6)
    new_run(tmp_path / "other")
    sent(tmp_path / "sweep", "20", "21", arrays={"20": ("0-3", 0), "21": ("0-1", 4)})
    for task, job in zip(tasks[:2], ("20_0", "20_1"), strict=True):
        end(task, 0, "finished", job=job)
    end(tasks[2], 1, "rank 0: ValueError: no", job="20_2")
    slurm.queue(job20_3="RUNNING", job21_0="PENDING Resources", job21_1="PENDING Resources")
    lines = hpcjobs(tmp_path, "status", "sweep").stdout.splitlines()
    assert len(lines) == 2 + 6
    summary = next(line for line in lines if line.startswith("sweep "))
    for part in ("6 tasks:", "2 done", "2 pending", "1 failed", "1 running"):
        assert part in summary
    assert any(line.startswith("sweep/task-00002") and "ValueError" in line for line in lines)
    assert sum("task-" in line for line in hpcjobs(tmp_path, "status", "sweep", "other").stdout.splitlines()) == 0
    assert [one["job_id"] for one in told(tmp_path, "21")] == ["21_0", "21_1"]
    assert [one["run"] for one in told(tmp_path, "21_1")] == [str(tasks[5].path)]


def test_a_silent_slurm_is_told_with_the_age_of_what_it_said(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "run")
    sent(run.path, "12")
    slurm.queue(job12="RUNNING")
    assert told(tmp_path, "run")[0]["state"] == "running"
    slurm.break_down()
    for cache in (tmp_path / "state" / "hpcjobs").glob("status-*.json"):  # as if asked an hour ago
        kept = json.loads(cache.read_text())
        cache.write_text(json.dumps(kept | {"asked": kept["asked"] - 3600, "answered": kept["answered"] - 3600}))
    ended = hpcjobs(tmp_path, "status", "run")
    assert "running" in ended.stdout
    assert "Slurm does not answer" in ended.stderr and "connect failure" in ended.stderr
    assert "1 h 00 min ago" in ended.stderr


def test_a_slurm_that_never_answered_makes_a_job_unknown_not_ended(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "run")
    sent(run.path, "12")
    slurm.break_down()
    (one,) = told(tmp_path, "run")
    assert one["state"] == "unknown" and not one["ended"] and "connect failure" in one["reason"]


def test_watch_prints_changes_and_ends_with_the_runs(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "run")
    sent(run.path, "12")
    slurm.queue(job12="RUNNING")
    with watcher(tmp_path, "status", "run", "--watch") as process:
        assert process.stdout is not None
        first = "".join(process.stdout.readline() for _ in range(2))  # the titles, and the run
        end(run, 0, "finished", job="12")
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert [
        line.split()[1] for line in (first + out).splitlines() if line.startswith("run ") and "state" not in line
    ] == [
        "running",
        "done",
    ]


def test_ctrl_c_stops_watching_quietly(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "run")
    sent(run.path, "12")
    slurm.queue(job12="RUNNING")
    with watcher(tmp_path, "status", "run", "--watch") as process:
        wait_until(lambda: slurm.calls("squeue"), "the first look")
        assert process.stdout is not None and process.stdout.readline().startswith("run")
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert "Traceback" not in err and "the runs go on" in err
    assert slurm.calls("scancel") == []


def test_unknown_names_are_refused_with_the_nearest(tmp_path: Path, slurm: Pretend) -> None:
    assert "no run has been made yet" in refused(tmp_path, "status", "x")
    run = new_run(tmp_path / "a" / "kmeans-blobs")
    sent(run.path, "12")
    assert "did you mean 'kmeans-blobs'" in refused(tmp_path, "status", "kmeans-blubs")
    assert "newest jobs: 12" in refused(tmp_path, "status", "99")
    (tmp_path / "home").mkdir()
    assert "not a run folder" in refused(tmp_path, "status", "home")


def test_text_of_others_cannot_steer_the_terminal(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "run")
    end(run, 1, "rank 0: ValueError: \x1b[2J\nnext line")
    out = hpcjobs(tmp_path, "status", "run").stdout
    assert "\x1b" not in out and len(out.splitlines()) == 2


@pytest.mark.parametrize("verb", ["status", "list", "logs", "cancel", "wait", "why"])
def test_watching_verbs_load_nothing_heavy(verb: str) -> None:
    heavy = {"h5py", "rich", "mpi4py", "numba", "scipy", "hpcjobs.jobs.kmeans"}
    code = f"import sys, hpcjobs.cli.{verb}; print(*{heavy} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert ended.stdout.strip() == ""
