"""What is said of a run, for every combination of witnesses that matters. Absence is never success."""

import json
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from launch.pretend import Commands, install

from hpcjobs.launch.slurm.cache import Cache
from hpcjobs.launch.slurm.rows import Row
from hpcjobs.launch.watch.judging import LOST_S, Facts, judge
from hpcjobs.launch.watch.truth import look
from hpcjobs.runs import submission
from hpcjobs.runs.process import myself
from hpcjobs.runs.submission import Sent, Submission

# One run, job 12: submitted at 9, begun at 10, ended at 11; Slurm was asked last at half past 11.
SUBMITTED, BEGUN, ENDED, ASKED = (f"2026-03-01T{hour}:00Z" for hour in ("09:00", "10:00", "11:00", "11:30"))
NOW = "2026-03-01T12:00:00Z"
OWNER = {"host": "node1", "pid": 7}


@pytest.fixture(autouse=True)
def slurm_time_is_utc(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def attempt(name: str = "a", job: str = "12", started: str = BEGUN) -> dict[str, Any]:
    return {"id": name, "job_id": job, "started": started, "first_step": 3, "reason": "running"}


def outcome(state: str, cause: str, code: int, ended: str = ENDED, attempts: Sequence[Any] = ()) -> dict[str, Any]:
    return {
        "state": state,
        "cause": cause,
        "exit_code": code,
        "reason": cause,
        "ended": ended,
        "digest": "d" if state == "done" else "",
        "attempts": list(attempts or [attempt()]),
    }


def row(state: str, code: str = "", start: str = "2026-03-01T10:00:00", end: str = "2026-03-01T11:00:10") -> Row:
    return Row("12", state, "Priority" if state == "PENDING" else "", code, "" if state == "PENDING" else start, end)


DONE = outcome("done", "finished", 0)
LIMIT = outcome("stopped", "time_limit", 75)
TERMINATED = outcome("stopped", "terminated", 75)
MISTAKE = outcome("failed", "mistake", 2)
FAILED = outcome("failed", "failed", 1)
JOB: dict[str, Any] = {"job": "12", "submitted": SUBMITTED, "asked": ASKED, "now": NOW}
DOWN = "Unable to contact slurm controller"
LEASE = {"attempts": [attempt("b")]}  # an attempt that has not told its end
ALIVE = {**LEASE, "owner": OWNER}
LATER = "2026-03-01T11:10:00"  # Slurm started the job again after the outcome was written

# What is known beside JOB -> state, exit code (None: it goes on, or nobody knows).
GOLDEN: list[tuple[str, dict[str, Any], str, int | None]] = [
    # the queue knows it
    ("waits", {"queue": row("PENDING")}, "pending", None),
    ("runs", {"queue": row("RUNNING"), **ALIVE}, "running", None),
    ("runs, not begun", {"queue": row("RUNNING")}, "running", None),
    ("paused", {"queue": row("SUSPENDED"), **ALIVE}, "suspended", None),
    ("configuring", {"queue": row("CONFIGURING")}, "configuring", None),
    ("ending", {"queue": row("COMPLETING")}, "completing", None),
    ("unknown state", {"queue": row("WIBBLING")}, "wibbling", None),
    ("unknown state while alive", {"queue": row("STAGE_OUT"), **ALIVE}, "stage out", None),
    ("requeued at the limit", {"queue": row("PENDING"), "outcome": LIMIT}, "requeued", None),
    ("requeued after a crash", {"queue": row("PENDING"), **LEASE}, "requeued", None),
    ("requeued, heartbeat of the dead", {"queue": row("PENDING"), **ALIVE}, "requeued", None),
    ("began since the queue was asked", {"queue": row("PENDING"), **ALIVE, "asked": SUBMITTED}, "running", None),
    ("runs again", {"queue": row("RUNNING", start=LATER), "outcome": LIMIT}, "running", None),
    ("runs again after failing", {"queue": row("RUNNING", start=LATER), "outcome": FAILED}, "running", None),
    ("stopped, on its way out", {"queue": row("RUNNING"), "outcome": LIMIT}, "running", None),
    ("mistake, on its way out", {"queue": row("RUNNING"), "outcome": MISTAKE}, "failed", 2),
    ("failed, on its way out", {"queue": row("COMPLETING"), "outcome": FAILED}, "failed", None),
    ("failed since it was pending", {"queue": row("PENDING"), "outcome": FAILED, "asked": BEGUN}, "failed", None),
    ("stopped since it was pending", {"queue": row("PENDING"), "outcome": LIMIT, "asked": BEGUN}, "stopped", None),
    ("failed by a node, queued again", {"queue": row("PENDING"), "outcome": FAILED}, "requeued", None),
    ("done, on its way out", {"queue": row("RUNNING"), "outcome": DONE, "result": True}, "done", 0),
    # the queue or accounting knows its end
    ("done", {"account": row("COMPLETED", "0:0"), "outcome": DONE, "result": True}, "done", 0),
    ("done, whatever Slurm says", {"account": row("FAILED", "1:0"), "outcome": DONE, "result": True}, "done", 0),
    ("done, then cancelled", {"account": row("CANCELLED"), "outcome": DONE, "result": True}, "done", 0),
    ("Slurm alone says completed", {"account": row("COMPLETED", "0:0")}, "lost", 1),
    ("Slurm says completed, killed", {"account": row("COMPLETED", "0:0"), **LEASE}, "lost", 1),
    ("completed a moment ago", {"queue": row("COMPLETED", end="2026-03-01T11:59:55")}, "completing", None),
    ("result gone", {"account": row("COMPLETED", "0:0"), "outcome": DONE}, "lost", 1),
    ("stopped at the limit", {"account": row("FAILED", "75:0"), "outcome": LIMIT}, "stopped", 75),
    ("stopped, requeue reads 0:0", {"account": row("COMPLETED", "0:0"), "outcome": LIMIT}, "stopped", 75),
    ("time limit", {"account": row("TIMEOUT", "0:0"), **LEASE}, "time limit", 1),
    ("saved before the limit", {"account": row("TIMEOUT", "0:0"), "outcome": LIMIT}, "stopped", 75),
    ("out of memory", {"account": row("OUT_OF_MEMORY", "0:125"), **LEASE}, "out of memory", 253),
    ("out of memory shown as failed", {"account": row("FAILED", "0:125"), **LEASE}, "out of memory", 253),
    ("out of memory, one rank told", {"account": row("OUT_OF_MEMORY", "0:125"), "outcome": FAILED}, "out of memory", 1),
    ("node", {"account": row("NODE_FAIL", "0:0"), **LEASE}, "node failure", 1),
    ("node, heartbeat of the dead", {"queue": row("NODE_FAIL"), **ALIVE}, "node failure", 1),
    ("preempted", {"account": row("PREEMPTED", "0:0"), **LEASE}, "preempted", 1),
    ("cancelled", {"account": row("CANCELLED by 0", "0:15"), **LEASE}, "cancelled", 143),
    ("cancelled, saved", {"account": row("CANCELLED", "0:15"), "outcome": TERMINATED}, "cancelled", 75),
    ("cancelled while it waited", {"queue": row("CANCELLED", start="")}, "cancelled", 1),
    ("mistake", {"account": row("FAILED", "2:0"), "outcome": MISTAKE}, "failed", 2),
    ("mistake of a cancelled one", {"account": row("CANCELLED"), "outcome": MISTAKE, "cancelled": True}, "failed", 2),
    ("failed before it began", {"account": row("FAILED", "3:0")}, "failed", 3),
    ("restarted, failed to begin", {"account": row("FAILED", "3:0", LATER), "outcome": LIMIT}, "failed", 3),
    ("killed by a signal", {"account": row("FAILED", "0:9"), **LEASE}, "failed", 137),
    ("ended, queue down", {"account": row("TIMEOUT", "0:0"), "queue_problem": DOWN}, "time limit", 1),
    ("node failed, queue down", {"account": row("NODE_FAIL", "0:0"), "queue_problem": DOWN}, "unknown", None),
    # nobody knows it
    ("empty answer while it runs", ALIVE, "running", None),
    ("empty answer while it waits", {}, "unknown", None),
    ("empty answer, dead heartbeat", LEASE, "unknown", None),
    ("empty answer after the limit", {"outcome": LIMIT}, "stopped", None),
    ("empty answer after a SIGTERM", {"outcome": TERMINATED}, "stopped", None),
    ("gone for long", {"missing_s": LOST_S}, "lost", 1),
    ("denied", {"denied": True}, "lost", 1),
    ("denied, had begun", {"denied": True, **LEASE}, "killed", 1),
    ("denied, stopped", {"denied": True, "outcome": LIMIT}, "stopped", 75),
    ("denied, cancelled", {"denied": True, "cancelled": True}, "cancelled", 1),
    ("denied, done", {"denied": True, "outcome": DONE, "result": True}, "done", 0),
    ("silence", {"queue_problem": DOWN}, "unknown", None),
    ("silence, once denied", {"queue_problem": DOWN, "denied": True}, "unknown", None),
    ("silence while it runs", {"queue_problem": DOWN, **ALIVE}, "running", None),
    ("silence, done", {"queue_problem": DOWN, "outcome": DONE, "result": True}, "done", 0),
    ("silence, failed", {"queue_problem": DOWN, "outcome": FAILED}, "failed", 1),
    ("silence, mistake", {"queue_problem": DOWN, "outcome": MISTAKE}, "failed", 2),
    ("silence, stopped at the limit", {"queue_problem": DOWN, "outcome": LIMIT}, "stopped", None),
    ("silence, cancel mark", {"queue_problem": DOWN, "cancelled": True}, "unknown", None),
    ("silence, old row", {"queue_problem": DOWN, "queue": row("RUNNING"), **ALIVE}, "running", None),
]


@pytest.mark.parametrize(("facts", "state", "code"), [line[1:] for line in GOLDEN], ids=[line[0] for line in GOLDEN])
def test_every_combination_of_witnesses_has_its_verdict(facts: dict[str, Any], state: str, code: int | None) -> None:
    assert judge(Facts(**{**JOB, **facts}))[::2] == (state, code)


def test_only_the_run_itself_can_say_done() -> None:
    for name, facts, state, code in GOLDEN:
        if state == "done" or code == 0:
            assert facts["outcome"] is DONE, name
            assert facts["result"], name


# Runs of this machine, resubmitted runs, and runs that are continued by hand while a job waits.
OTHERS: list[tuple[str, dict[str, Any], str, int | None]] = [
    ("never started", {}, "not started", None),
    ("refused by Slurm", {"refused": "no such partition"}, "not started", None),
    ("intent only", {"submitted": SUBMITTED, "open_intent": True}, "submitting", None),
    ("local, runs", {"attempts": [attempt("b", "")], "owner": OWNER}, "running", None),
    ("local, killed", {"attempts": [attempt("b", "")]}, "killed", 1),
    ("local, done", {"outcome": DONE, "result": True}, "done", 0),
    ("local, stopped", {"outcome": outcome("stopped", "interrupted", 75)}, "stopped", 75),
    ("local, failed", {"outcome": FAILED}, "failed", 1),
    ("local, extended and running", {"outcome": DONE, "result": True, **ALIVE}, "running", None),
    (
        "by hand while the job waits",
        {**JOB, "queue": row("PENDING"), "attempts": [attempt("b", "")], "owner": OWNER},
        "running",
        None,
    ),
    (
        "by hand after the job, killed",
        {**JOB, "account": row("TIMEOUT"), "attempts": [attempt("b", "", "2026-03-01T11:20:00Z")]},
        "killed",
        1,
    ),
    (
        "by hand after the job, done",
        {**JOB, "account": row("TIMEOUT"), "outcome": outcome("done", "finished", 0, NOW), "result": True},
        "done",
        0,
    ),
    (
        "sent again, waits",
        {**JOB, "job": "13", "submitted": ASKED, "queue": row("PENDING"), "outcome": LIMIT},
        "pending",
        None,
    ),
    (
        "sent again, runs",
        {**JOB, "job": "13", "submitted": ASKED, "queue": row("RUNNING"), "outcome": FAILED},
        "running",
        None,
    ),
    (
        "sent again, cancelled in the queue",
        {**JOB, "job": "13", "submitted": ASKED, "account": row("CANCELLED", start=""), "outcome": LIMIT},
        "cancelled",
        1,
    ),
    (
        "done, extended, waits",
        {**JOB, "job": "13", "submitted": ASKED, "queue": row("PENDING"), "outcome": DONE, "result": True},
        "pending",
        None,
    ),
    (
        "done, sent again for nothing",
        {**JOB, "job": "13", "submitted": ASKED, "account": row("COMPLETED"), "outcome": DONE, "result": True},
        "done",
        0,
    ),
    ("sent again, unknown yet", {"submitted": ASKED, "open_intent": True, "outcome": FAILED}, "submitting", None),
]


@pytest.mark.parametrize(("facts", "state", "code"), [line[1:] for line in OTHERS], ids=[line[0] for line in OTHERS])
def test_runs_of_this_machine_and_runs_sent_again_have_theirs(
    facts: dict[str, Any], state: str, code: int | None
) -> None:
    assert judge(Facts(**{"now": NOW, **facts}))[::2] == (state, code)


def test_an_unanswered_question_says_why() -> None:
    assert DOWN in judge(Facts(**JOB, queue_problem=DOWN))[1]


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    found = install(tmp_path, monkeypatch)
    found.say("squeue.named", "slurm_load_jobs error: Invalid job id specified\n", 1)
    found.say("sacct", "Slurm accounting storage is disabled\n", 1)
    return found


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "status.json")


def made(folder: Path, *sent: Sent) -> Path:
    """A run folder, sent to Slurm or not."""
    folder.mkdir()
    (folder / "settings.json").write_text(json.dumps({"job": "kmeans", "settings": {}, "run_uuid": "u"}))
    if sent:
        submission.write(folder, Submission("run", "python", "pmi2", "", 10, "me", {}, list(sent)))
    return folder


def queued(*states: tuple[str, str]) -> str:
    return "".join(f"{job}|{state}|N/A|N/A|1:00|1|main|None|name\n" for job, state in states)


def test_many_runs_cost_one_question(tmp_path: Path, commands: Commands, cache: Cache) -> None:
    runs = [made(tmp_path / f"run{job}", Sent("t", [], SUBMITTED, str(job))) for job in range(20, 30)]
    commands.say("squeue", queued(*((str(job), "PENDING") for job in range(20, 30))))
    found = look(runs, cache)
    assert [(one.run, one.job_id, one.state) for one in found] == [
        (run, str(job), "pending") for run, job in zip(runs, range(20, 30), strict=True)
    ]
    assert found[0].slurm is not None
    assert len(commands.calls("squeue")) == 1
    assert commands.calls("sacct") == []


def test_runs_of_this_machine_cost_none(tmp_path: Path, commands: Commands, cache: Cache) -> None:
    assert [one.state for one in look([made(tmp_path / "run")], cache)] == ["not started"]
    assert commands.calls("squeue") == []


def test_tasks_of_a_sweep_are_known_by_their_place_in_the_array(
    tmp_path: Path, commands: Commands, cache: Cache
) -> None:
    sweep = made(
        tmp_path / "sweep", Sent("t", [], SUBMITTED, "12", array="0-1"), Sent("u", [], SUBMITTED, "13", "0-1", 2)
    )
    (sweep / "sweep.json").write_text("{}")
    tasks = [made(sweep / f"task-{task:05}") for task in range(5)]
    commands.say("squeue", queued(("12_0", "RUNNING"), ("12_1", "PENDING"), ("13_1", "COMPLETING")))
    found = look(tasks, cache)
    assert [one.job_id for one in found] == ["12_0", "12_1", "13_0", "13_1", ""]
    assert [one.state for one in found] == ["running", "pending", "lost", "completing", "not started"]


def test_a_refused_resubmission_does_not_hide_the_job_before(tmp_path: Path, commands: Commands, cache: Cache) -> None:
    run = made(tmp_path / "run", Sent("t", [], SUBMITTED, "12"), Sent("u", [], ASKED, refused="no such partition"))
    commands.say("squeue", queued(("12", "RUNNING")))
    assert [(one.job_id, one.state) for one in look([run], cache)] == [("12", "running")]


def test_a_living_owner_here_is_found_without_slurm(
    tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    run = made(tmp_path / "run", Sent("t", [], SUBMITTED, "12"))
    (unknown,) = look([run], cache)
    assert (unknown.state, unknown.ended) == ("unknown", False)
    assert "PATH" in unknown.reason
    record = {"token": "b", "owner": myself(), "attempts": [attempt("b")]}
    (run / "lease").write_text(json.dumps(record))
    (alive,) = look([run], cache)
    assert (alive.state, alive.reason) == ("running", f"process {os.getpid()} on {platform.node()}")
    assert alive.since == BEGUN


def test_a_damaged_submission_does_not_hide_the_result(tmp_path: Path, commands: Commands, cache: Cache) -> None:
    run = made(tmp_path / "run")
    (run / "submission.json").write_text("{")
    (run / "outcome.json").write_text(json.dumps(DONE))
    (run / "result.h5").write_bytes(b"")
    (found,) = look([run], cache)
    assert (found.state, found.exit_code, found.digest, found.since) == ("done", 0, "d", ENDED)
