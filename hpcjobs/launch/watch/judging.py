"""The judgement on a run: a pure function of what its folder, the queue and accounting say. Absence is no success."""

import time
from calendar import timegm
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hpcjobs.launch.requeueing import GOES_ON
from hpcjobs.launch.slurm import states
from hpcjobs.launch.slurm.query import utc
from hpcjobs.launch.slurm.rows import Row
from hpcjobs.runs.outcome import DONE, FAILED

# How Slurm's ends read when the run itself has not told its own.
ENDS = {
    "CANCELLED": "cancelled",
    "OUT_OF_MEMORY": "out of memory",
    "TIMEOUT": "time limit",
    "NODE_FAIL": "node failure",
    "BOOT_FAIL": "node failure",
    "PREEMPTED": "preempted",
    "DEADLINE": "deadline",
    "REVOKED": "revoked",
}
# A job that neither witness knows is given up after so long: one empty answer is no proof.
LOST_S = 120.0
# A file server may show the end of a run to another host so much later.
LAG_S = 10.0
# How Slurm's cgroups report a kill for memory where the state does not.
OUT_OF_MEMORY = "0:125"


@dataclass(frozen=True)
class Facts:
    """What each witness says of one run."""

    job: str = ""  # newest Slurm job, "" for a run of this machine
    submitted: str = ""  # when it was sent last
    open_intent: bool = False
    refused: str = ""
    outcome: Mapping[str, Any] = field(default_factory=dict)
    attempts: Sequence[Mapping[str, Any]] = ()  # those of the lease
    owner: Mapping[str, Any] | None = None  # living, as far as its heartbeat says
    result: bool = False
    cancelled: bool = False
    queue: Row | None = None
    queue_problem: str = ""
    account: Row | None = None
    asked: str = ""  # when the queue has answered last
    missing_s: float = 0.0  # how long neither the queue nor accounting has known the job
    denied: bool = False  # the controller says that there is no such job
    now: str = ""


Judgement = tuple[str, str, int | None]


def judge(facts: Facts) -> Judgement:
    """State, reason and exit code (None while it goes on, or while nobody knows).

    The run folder wins where it tells of the newest attempt; then the queue, then accounting, then silence.
    """
    queue, own = facts.queue, own_word(facts)
    active = queue is not None and not states.ended(queue.state)
    over = None if active else facts.account or queue
    if over is not None and facts.queue_problem and states.base(over.state) in states.RETURNING:
        over = None  # it may be back in the queue
    newer = _newer(facts)
    last = facts.attempts[-1] if newer else {}
    elsewhere = newer and last["job_id"] != facts.job  # not by the job that was sent last
    # Where Slurm says that the job waits or has ended, a heartbeat only tells of what was.
    if newer and facts.owner and (elsewhere or (queue is None and over is None) or last["started"] >= facts.asked):
        return "running", f"process {facts.owner['pid']} on {facts.owner['host']}", None
    done = facts.outcome.get("state") == "done" and (facts.result or not facts.outcome["digest"])
    if done and not newer and (own or not active):
        return "done", "", DONE
    if active and queue is not None:
        return _active(facts, queue, own)
    if elsewhere and not facts.owner and last["started"] >= facts.submitted:
        return _killed(last)
    if over is not None:
        return _ended(facts, over, own)
    return _silent(facts, own)


def _active(facts: Facts, row: Row, own: Mapping[str, Any]) -> Judgement:
    """What a job does that Slurm still has; what the run has told of its end may be newer than Slurm's answer."""
    if own.get("cause") == "mistake":
        return "failed", own["reason"], own["exit_code"]
    if own and own["state"] == "failed" and not states.waiting(row.state):
        return "failed", own["reason"], None  # after the loss of a node Slurm starts it again
    if own and own["state"] != "done" and own["ended"] >= facts.asked:
        return own["state"], own["reason"], None
    if states.waiting(row.state):
        before = [*facts.outcome.get("attempts", []), *facts.attempts]
        again = any(attempt["job_id"] == facts.job for attempt in before)
        return "requeued" if again else "pending", row.reason, None
    return states.words(row.state), "" if states.base(row.state) == "RUNNING" else row.reason, None


def _ended(facts: Facts, row: Row, own: Mapping[str, Any]) -> Judgement:
    """How a job ended that Slurm says is over; what the run itself said of this very attempt is the finer word."""
    name = states.base(row.state)
    told = own.get("reason", "")
    code = own.get("exit_code") or _code(row) or FAILED
    says = f"Slurm says {row.state}" + (f", exit code {row.exit_code}" if row.exit_code else "")
    if own.get("cause") == "mistake":
        return "failed", told, code
    if facts.cancelled or name == "CANCELLED":
        return "cancelled", told or ("through hpcjobs" if facts.cancelled else says), code
    if row.exit_code == OUT_OF_MEMORY:
        return "out of memory", told or says, code
    if name in ENDS and not (own and own["state"] == "stopped"):
        return ENDS[name], told or says, code
    if own and own["state"] != "done":
        return own["state"], told, code
    if own:
        return "lost", "its outcome says done, but there is no result.h5", FAILED
    if name == "COMPLETED":
        if row.end and facts.now and _age(utc(row.end), facts.now) < LAG_S:
            return "completing", "Slurm says COMPLETED; the end of the run is not visible here yet", None
        return "lost", "Slurm says COMPLETED, but the run has not told how it ended", FAILED
    return states.words(name), says, code


def _silent(facts: Facts, own: Mapping[str, Any]) -> Judgement:
    """What to make of a run of which Slurm says nothing: there was no job, or it has forgotten it, or is down."""
    silence = f"Slurm does not answer: {facts.queue_problem}" if facts.queue_problem else ""
    unsure = bool(facts.job and (silence or not (facts.denied or facts.missing_s >= LOST_S)))
    if own and own["state"] == "done":
        return "lost", "its outcome says done, but there is no result.h5", FAILED
    if own and own["state"] == "failed":
        return "failed", own["reason"], own["exit_code"] or FAILED
    if own and unsure and own.get("cause") in GOES_ON and not facts.cancelled:
        return own["state"], f"{own['reason']}; {silence or 'whether it goes on is not known yet'}", None
    if facts.open_intent:
        return "submitting", "it is not known yet whether Slurm has taken it", None
    if unsure and not own:
        return "unknown", silence or f"Slurm does not list job {facts.job} just now", None
    if facts.cancelled:
        return "cancelled", own.get("reason", "through hpcjobs"), own.get("exit_code") or FAILED
    if own:
        return own["state"], own["reason"], own["exit_code"] or FAILED
    if _newer(facts):
        return _killed(facts.attempts[-1])
    if facts.job:
        return "lost", f"neither Slurm nor the run folder tells how job {facts.job} ended", FAILED
    return "not started", facts.refused, None


def _killed(attempt: Mapping[str, Any]) -> Judgement:
    return "killed", f"the process that ran it is gone; it had begun at step {attempt['first_step']}", FAILED


def own_word(facts: Facts) -> Mapping[str, Any]:
    """What the run itself told of the attempt that Slurm speaks of; empty when it told of an earlier one only."""
    outcome = facts.outcome
    if not outcome or _newer(facts):
        return {}
    last = outcome["attempts"][-1]["job_id"] if outcome["attempts"] else ""
    if outcome["ended"] < facts.submitted and (not facts.job or last != facts.job):
        return {}
    row = facts.queue or facts.account
    begun = utc(row.start) if row and not states.waiting(row.state) else ""
    # Clocks differ a little; between two starts of one job lies more.
    return {} if begun and _age(outcome["ended"], begun) > LAG_S and last == facts.job else outcome


def _newer(facts: Facts) -> bool:
    """Whether an attempt was begun that has not told how it ended."""
    told = {attempt["id"] for attempt in facts.outcome.get("attempts", [])}
    return bool(facts.attempts) and facts.attempts[-1]["id"] not in told


def _code(row: Row) -> int:
    """The exit code that Slurm tells; 128 and the number of the signal that ended it."""
    code, _, number = row.exit_code.partition(":")
    return 128 + int(number) if number.isdigit() and int(number) else int(code) if code.isdigit() else 0


def _age(earlier: str, later: str) -> float:
    """Seconds between two times as our files write them."""
    shape = "%Y-%m-%dT%H:%M:%SZ"
    try:
        return timegm(time.strptime(later, shape)) - timegm(time.strptime(earlier, shape))
    except ValueError:
        return 0.0
