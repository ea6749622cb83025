"""What became of a run: told by its folder, by the queue and by accounting. Absence is never success."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpcjobs.errors import RunFolderError
from hpcjobs.launch.slurm import states
from hpcjobs.launch.slurm.cache import Cache, Snapshot
from hpcjobs.launch.slurm.command import available
from hpcjobs.launch.slurm.rows import Row
from hpcjobs.runs import submission
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.lease import holding, owner
from hpcjobs.runs.submission import Submission

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
GOING = ("submitting", "pending", "requeued", "running", "unknown", "not started")


@dataclass(frozen=True)
class Facts:
    """What each witness says of one run."""

    job: str = ""  # newest Slurm job, "" for a run of this machine
    submitted: str = ""  # when it was sent last
    open_intent: bool = False
    refused: str = ""
    outcome: dict[str, Any] = field(default_factory=dict)
    attempts: Sequence[dict[str, Any]] = ()  # those of the lease
    owner: dict[str, Any] | None = None  # living, as far as its heartbeat says
    result: bool = False
    cancelled: bool = False
    queue: Row | None = None
    queue_problem: str = ""
    account: Row | None = None


@dataclass(frozen=True)
class Verdict:
    """The state of a run in words, and what it rests on."""

    run: Path
    state: str
    reason: str
    job_id: str
    exit_code: int | None
    ended: bool
    since: str
    slurm: Row | None
    digest: str


def look(paths: Sequence[Path], cache: Cache | None = None, *, watching: bool = False) -> list[Verdict]:
    """The verdict on each run, by one question to Slurm for all of them."""
    records: dict[Path, Submission | None] = {}
    jobs = {path: _job(path, records) for path in paths}
    wanted = sorted({job for job in jobs.values() if job})
    if wanted and available():
        said = (cache or Cache.open()).rows(wanted, watching=watching)
    else:
        said = Snapshot({}, {}, 0.0, "there is no squeue on this machine's PATH" if wanted else "", "")
    return [verdict(path, gather(path, records[_home(path)], jobs[path], said)) for path in paths]


def gather(path: Path, record: Submission | None, job: str, said: Snapshot) -> Facts:
    """What there is to know of one run."""
    folder = RunFolder(path)
    sent = [one for one in record.sent if not job or one.job_id == job.partition("_")[0]] if record else []
    marked = folder.cancelled_jobs()
    return Facts(
        job=job,
        submitted=sent[-1].submitted if sent else "",
        open_intent=bool(record and record.open_intents()),
        refused=sent[-1].refused if sent else "",
        outcome=folder.read_outcome(),
        attempts=holding(folder).get("attempts", []),
        owner=owner(folder),
        result=folder.result.exists(),
        cancelled=bool(job and {job, job.partition("_")[0]} & set(marked)),
        queue=said.queue.get(job),
        queue_problem=said.queue_problem,
        account=said.accounts.get(job),
    )


def verdict(path: Path, facts: Facts) -> Verdict:
    """The judgement with what belongs to it."""
    state, reason, code = judge(facts)
    seen = [*facts.outcome.get("attempts", []), *facts.attempts]
    since = facts.outcome.get("ended", "") if state not in GOING else seen[-1]["started"] if facts.attempts else ""
    return Verdict(
        run=path,
        state=state,
        reason=reason,
        job_id=facts.job,
        exit_code=code,
        ended=code is not None,
        since=since or facts.submitted,
        slurm=facts.queue or facts.account,
        digest=facts.outcome.get("digest", "") if state == "done" else "",
    )


def judge(facts: Facts) -> tuple[str, str, int | None]:
    """State, reason and exit code (None while it goes on, or while nobody knows)."""
    outcome, queue = facts.outcome, facts.queue
    current = bool(outcome) and (not facts.submitted or outcome["ended"] >= facts.submitted)
    if current and outcome["state"] == "done" and facts.result:
        return "done", "", 0
    if queue is not None and not states.ended(queue.state):
        return _active(facts, queue)
    over = facts.account if facts.account is not None else queue
    if facts.owner and not (over and _of_job(facts.attempts, facts.job)):
        return "running", f"process {facts.owner['pid']} on {facts.owner['host']}", None
    own = outcome if current and (not facts.job or _of_job(outcome["attempts"], facts.job)) else {}
    lost = [
        attempt for attempt in facts.attempts if attempt["id"] not in {one["id"] for one in outcome.get("attempts", [])}
    ]
    if over is not None:
        return _ended(facts, over, {} if lost else own)
    if facts.cancelled:
        return "cancelled", "through hpcjobs", own.get("exit_code", 1)
    if lost:
        return "killed", f"the process that ran it is gone; it had begun at step {lost[-1]['first_step']}", 1
    if own:
        return own["state"], own["reason"], own["exit_code"]
    if facts.open_intent:
        return "submitting", "it is not known yet whether Slurm has taken it", None
    if not facts.job:
        return "not started", facts.refused, None
    if facts.queue_problem:
        return "unknown", f"Slurm does not answer: {facts.queue_problem}", None
    return "lost", f"neither Slurm nor the run folder tells how job {facts.job} ended", 1


def _active(facts: Facts, row: Row) -> tuple[str, str, None]:
    """What a job that Slurm still has is doing."""
    if states.waiting(row.state):
        before = _of_job([*facts.outcome.get("attempts", []), *facts.attempts], facts.job)
        return "requeued" if before else "pending", row.reason, None
    return states.words(row.state), "" if row.state == "RUNNING" else row.reason, None


def _ended(facts: Facts, row: Row, own: dict[str, Any]) -> tuple[str, str, int]:
    """How a job ended that Slurm says is over; what the run itself said of this very job wins."""
    name = states.base(row.state)
    told = own.get("reason", "")
    code = own.get("exit_code") or 1
    if facts.cancelled:
        return "cancelled", told or "through hpcjobs", code
    if own and own["state"] == "failed":
        return "failed", told, code
    if name in ENDS:
        return ENDS[name], told or f"Slurm says {row.state}", code
    if own:
        return own["state"], told, code
    if name == "COMPLETED":
        return "lost", "Slurm says COMPLETED, but the run has not told how it ended", 1
    return states.words(name), f"Slurm says {row.state}" + (f", exit code {row.exit_code}" if row.exit_code else ""), 1


def _of_job(attempts: Sequence[dict[str, Any]], job: str) -> bool:
    """Whether the newest attempt was part of a job."""
    return bool(job and attempts and attempts[-1]["job_id"] == job)


def _job(path: Path, records: dict[Path, Submission | None]) -> str:
    """The newest Slurm job of a run, or of a task of a sweep, whose submission lies one folder up."""
    home = _home(path)
    if home not in records:
        try:
            records[home] = submission.read(home)
        except RunFolderError:  # damaged: what else there is may still tell
            records[home] = None
    record = records[home]
    task = int(path.name.rpartition("-")[2]) if home != path else None
    return record.job_of(task) if record else ""


def _home(path: Path) -> Path:
    """The folder that holds the submission of a run."""
    return path.parent if path.name.startswith("task-") and (path.parent / "sweep.json").exists() else path
