"""`hpcjobs logs`: what a run has said, followed from before its start to its end."""

import json
import os
import signal
from pathlib import Path

from command import hpcjobs, refused, wait_until
from pretend import Pretend, end, new_run, new_sweep, sent, watcher

from hpcjobs.runs.logfile import Followed, tail


def test_the_end_of_the_newest_log_is_shown_and_older_ones_are_named(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "run")
    sent(run.path, "11", "12")
    slurm.queue(job12="RUNNING")
    old, new = run.path / "log-11.out", run.path / "log-12.out"
    new.write_text("".join(f"line {number}\n" for number in range(300)))
    old.write_text("before\n")
    os.utime(old, (1, 1))
    ended = hpcjobs(tmp_path, "logs", "run", "--lines", 2)
    assert ended.stdout == "line 298\nline 299\n"
    assert "log-11.out" in ended.stderr
    assert json.loads(hpcjobs(tmp_path, "logs", "run", "--json").stdout) == [str(old), str(new)]
    assert hpcjobs(tmp_path, "logs", "12").stdout.splitlines() == [f"line {number}" for number in range(200, 300)]


def test_a_run_without_a_log_says_what_it_does_instead(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "run")
    sent(run.path, "12")
    slurm.queue(job12="PENDING Priority")
    assert "no log yet; it is pending: Priority" in refused(tmp_path, "logs", "run")


def test_the_log_of_a_task_lies_beside_its_folder(tmp_path: Path, slurm: Pretend) -> None:
    new_sweep(tmp_path / "sweep", 6)
    sent(tmp_path / "sweep", "20", "21", arrays={"20": ("0-3", 0), "21": ("0-1", 4)})
    (tmp_path / "sweep" / "log-21_1.out").write_text("task five\n")
    assert hpcjobs(tmp_path, "logs", "21_1").stdout == "task five\n"
    assert hpcjobs(tmp_path, "logs", "sweep/task-00005").stdout == "task five\n"
    assert "name one of them" in refused(tmp_path, "logs", "sweep")


def test_a_job_is_followed_from_before_its_start_through_a_requeue_to_its_end(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "run")
    sent(run.path, "12")
    log = run.path / "log-12.out"
    slurm.queue(job12="PENDING Priority")
    with watcher(tmp_path, "logs", "-f") as follower:
        assert follower.stdout is not None and follower.stderr is not None
        assert "waiting for job 12: pending: Priority" in follower.stderr.readline()
        log.write_text("first attempt\n")
        assert follower.stdout.readline() == "first attempt\n"
        slurm.queue(job12="PENDING BeginTime")
        end(run, 75, "stopped by SIGUSR1 at a checkpoint", job="12", cause="time_limit")
        assert any("requeued: BeginTime" in line for line in iter(follower.stderr.readline, ""))
        with log.open("a") as file:
            file.write("second attempt\n")
        assert follower.stdout.readline() == "second attempt\n"
        with log.open("a") as file:
            file.write("the end without a newline")
        end(run, 0, "finished", job="12")
        slurm.queue(job12="COMPLETED")
        out, err = follower.communicate(timeout=60)
    assert follower.returncode == 0
    assert out == "the end without a newline"
    assert "job 12 has ended: done" in err


def test_a_run_that_failed_is_followed_to_its_end_with_exit_code_0(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "run")
    (run.path / "log-local.out").write_text("oh\n")
    end(run, 1, "rank 0: ValueError")
    ended = hpcjobs(tmp_path, "logs", "-f", "run")
    assert ended.stdout == "oh\n"
    assert "ended: failed: rank 0: ValueError" in ended.stderr


def test_ctrl_c_stops_following_never_the_job(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "run")
    sent(run.path, "12")
    slurm.queue(job12="RUNNING")
    (run.path / "log-12.out").write_text("hello\n")
    with watcher(tmp_path, "logs", "-f", "run") as follower:
        assert follower.stdout is not None and follower.stdout.readline() == "hello\n"
        follower.send_signal(signal.SIGINT)
        err = follower.communicate(timeout=30)[1]
    assert follower.returncode == 130
    assert "Traceback" not in err
    assert slurm.calls("scancel") == []


def test_a_reader_that_leaves_ends_the_following(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "run")
    sent(run.path, "12")
    slurm.queue(job12="RUNNING")
    log = run.path / "log-12.out"
    log.write_text("hello\n")
    with watcher(tmp_path, "logs", "-f", "run") as follower:
        assert follower.stdout is not None and follower.stdout.readline() == "hello\n"
        follower.stdout.close()
        with log.open("a") as file:
            file.write("nobody reads this\n")
        wait_until(lambda: follower.poll() is not None, "the follower to notice")
        assert follower.stderr is not None and "Traceback" not in follower.stderr.read()


def test_a_log_that_is_cut_off_or_replaced_is_followed_on(tmp_path: Path) -> None:
    path = tmp_path / "log"
    followed = Followed(path)
    assert list(followed.news()) == []
    path.write_text("one\n")
    assert list(followed.news()) == [b"one\n"]
    with path.open("a") as file:
        file.write("two\n")
    assert list(followed.news()) == [b"two\n"]
    path.write_text("cut\n")
    assert list(followed.news()) == [b"cut\n"]
    with path.open("a") as file:
        file.write("last of the old\n")
    path.rename(tmp_path / "log.1")
    path.write_text("new file, and longer than the old one\n")
    assert list(followed.news()) == [b"last of the old\n", b"new file, and longer than the old one\n"]
    path.unlink()
    assert list(followed.news()) == []


def test_the_tail_of_a_log_is_that_of_all_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for text in ("", "\n", "a", "a\n", "a\nb", "a\n\nb\n", "x" * 3_000_000 + "\nlast\n"):
        path.write_text(text)
        for lines in (0, 1, 2, 3, 10):
            assert tail(path, lines) == (text.splitlines()[-lines:] if lines else [])
