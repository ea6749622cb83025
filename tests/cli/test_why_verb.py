"""`hpcjobs why`: the reason, the last lines of the log, and a command that works when it is pasted."""

import json
import shlex
from pathlib import Path

from command import hpcjobs
from pretend import Pretend, end, new_run, new_sweep, sent


def test_a_failed_run_is_told_with_its_log_and_the_command_that_helps(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "my run")
    sent(run.path, "12")
    slurm.queue(job12="FAILED NonZeroExitCode")
    end(run, 1, "rank 0: ValueError: no", job="12")
    (run.path / "log-12.out").write_text("".join(f"line {number}\n" for number in range(50)))
    out = hpcjobs(tmp_path, "why").stdout
    assert "rank 0: ValueError: no" in out
    assert "| line 49" in out and "| line 30\n" in out and "line 29\n" not in out
    pasted = shlex.split(out.splitlines()[-1])
    assert pasted[0] == "hpcjobs" and str(run.path) in pasted


def test_a_waiting_job_is_told_in_words(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "run")
    sent(run.path, "12")
    slurm.queue(job12="PENDING Priority")
    (told,) = json.loads(hpcjobs(tmp_path, "why", "12", "--json").stdout)
    assert told["state"] == "pending"
    assert "job 12 waits" in told["headline"] and told["headline"] != "job 12 waits: Priority"
    assert told["last_lines"] == []


def test_tasks_that_failed_alike_are_told_once(tmp_path: Path, slurm: Pretend) -> None:
    tasks = new_sweep(tmp_path / "sweep", 6)
    for task in tasks[:4]:
        end(task, 1, "rank 0: ValueError: no")
    for task in tasks[4:]:
        end(task, 0, "finished")
    failed, done = json.loads(hpcjobs(tmp_path, "why", "sweep", "--json").stdout)
    assert failed["same"] == [str(task.path) for task in tasks[1:4]]
    assert done["same"] == [str(tasks[5].path)]
    assert "3 more: task-00001, task-00002, task-00003" in hpcjobs(tmp_path, "why", "sweep").stdout
