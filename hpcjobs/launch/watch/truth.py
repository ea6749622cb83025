"""What became of runs: the facts on each are gathered, Slurm is asked once for all of them."""

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hpcjobs.errors import RunFolderError
from hpcjobs.launch.slurm import states
from hpcjobs.launch.slurm.cache import Cache, Snapshot
from hpcjobs.launch.slurm.command import available
from hpcjobs.launch.slurm.query import utc
from hpcjobs.launch.slurm.rows import Row
from hpcjobs.launch.watch.judging import Facts, judge, own_word
from hpcjobs.runs import submission, sweeps
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.lease import holding, owner
from hpcjobs.runs.submission import Sent, Submission, indices


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
    newest = {path: _newest(path, records) for path in paths}
    wanted = sorted({job for sent, job in newest.values() if job})
    if wanted and available():
        said = (cache or Cache.open()).rows(wanted, watching=watching)
    else:
        said = Snapshot({}, {}, 0.0, "there is no squeue on this machine's PATH" if wanted else "", "")
    return [verdict(path, gather(path, *newest[path], said)) for path in paths]


def gather(path: Path, sent: Sent | None, job: str, said: Snapshot, clock: float | None = None) -> Facts:
    """What there is to know of one run."""
    folder, now = RunFolder(path), time.time() if clock is None else clock
    with contextlib.suppress(OSError):
        os.listdir(path)  # noqa: PTH208 (so that a network file system looks again for files that were not there)
    missing = said.missing.get(job)
    outcome, attempts = folder.read_outcome(), holding(folder).get("attempts", [])
    last = (attempts or outcome.get("attempts") or [{"id": ""}])[-1]["id"]
    return Facts(
        job=job,
        submitted=sent.submitted if sent else "",
        open_intent=bool(sent and not job and not sent.refused),
        refused=sent.refused if sent else "",
        outcome=outcome,
        attempts=attempts,
        owner=owner(folder),
        result=folder.result.exists(),
        cancelled=bool({job or last, job.partition("_")[0] or last} & set(folder.cancelled_jobs())),
        queue=said.queue.get(job),
        queue_problem=said.queue_problem,
        account=said.accounts.get(job),
        asked=_stamp(said.asked),
        missing_s=now - missing.since if missing and missing.since else 0.0,
        denied=bool(missing and missing.denied),
        now=_stamp(now),
    )


def verdict(path: Path, facts: Facts) -> Verdict:
    """The judgement with what belongs to it."""
    state, reason, code = judge(facts)
    row = facts.queue if facts.queue and not states.ended(facts.queue.state) else facts.account or facts.queue
    started = facts.attempts[-1]["started"] if facts.attempts else ""
    if code is None:
        since = started if state == "running" and started else utc(row.start) if row and state == "running" else ""
    else:
        since = facts.outcome["ended"] if own_word(facts) else utc(row.end) if row else ""
    return Verdict(
        run=path,
        state=state,
        reason=reason,
        job_id=facts.job,
        exit_code=code,
        ended=code is not None,
        since=since or facts.submitted,
        slurm=row,
        digest=facts.outcome["digest"] if state == "done" else "",
    )


def _stamp(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def _newest(path: Path, records: dict[Path, Submission | None]) -> tuple[Sent | None, str]:
    """The last call of sbatch for a run (or a task of a sweep, whose submission lies one folder up), and its job."""
    home = sweeps.home(path)
    task = None if home == path else sweeps.number(path)
    if home not in records:
        try:
            records[home] = submission.read(home)
        except RunFolderError:  # damaged: what else there is may still tell
            records[home] = None
    record = records[home]
    calls = record.sent if record else []
    taken = [sent for sent in calls if not sent.refused] or calls
    for sent in reversed(taken):
        if task is None:
            return sent, sent.job_id
        if task - sent.offset in indices(sent.array):
            return sent, f"{sent.job_id}_{task - sent.offset}" if sent.job_id else ""
    return None, ""
