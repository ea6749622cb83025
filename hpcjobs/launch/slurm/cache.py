"""What Slurm said last, shared by every process of the user: however many watch, the controller is asked once."""

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from hpcjobs.launch.slurm import control, query
from hpcjobs.launch.slurm.query import Problem
from hpcjobs.launch.slurm.rows import Row
from hpcjobs.launch.slurm.states import ended
from hpcjobs.launch.slurm.where import cluster_key
from hpcjobs.runs.process import state_folder

# A command that is typed once takes rows up to this age; those who watch wait longer and longer between two calls.
FRESH_S = 10.0
LONGEST_S = 180.0
GROWTH = 1.3
# Another process that asks just now is waited for this long; then what it knew before has to do.
PATIENCE_S = 5.0
NO_ACCOUNTING_S = 3600.0
# A job that nobody knows is asked for so long after somebody has wanted it last.
WANTED_S = 3600.0
# So many jobs that nobody knows are asked for by name at a time: the controller then says that it has no such job.
DENIALS = 3
# Ended jobs that are remembered.
MOST = 20_000


class Missing(msgspec.Struct):
    """A job that neither the queue nor accounting knew."""

    since: float  # when the queue has first answered without it; 0 before
    wanted: float
    denied: bool = False  # the controller, asked for this very job, says that there is none


class Stored(msgspec.Struct):
    """What the cache file holds."""

    asked: float = 0.0
    answered: float = 0.0
    interval: float = FRESH_S
    queue: dict[str, Row] = {}
    queue_problem: str = ""
    accounts_asked: float = 0.0
    accounts_problem: str = ""
    no_accounts_until: float = 0.0
    # Jobs that have ended, from either witness: asked for again only until their exit code is known.
    over: dict[str, Row] = {}
    missing: dict[str, Missing] = {}


@dataclass(frozen=True)
class Snapshot:
    """What Slurm's two witnesses said of the jobs asked for, and when."""

    queue: dict[str, Row]
    accounts: dict[str, Row]
    asked: float  # when the queue has answered last
    queue_problem: str
    accounts_problem: str
    missing: dict[str, Missing] = field(default_factory=dict)


class Cache:
    """The file of one user and cluster. Without a home each process keeps its own; without locks nobody waits."""

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._own = Stored()  # where there is no file

    @classmethod
    def open(cls) -> "Cache":
        """The cache of this user for the cluster that our commands ask."""
        folder = state_folder()
        return cls(folder / f"status-{cluster_key()}.json" if folder else None)

    def rows(self, wanted: Sequence[str], *, watching: bool = False) -> Snapshot:
        """What is known of some jobs, asked anew when that is due. `watching`: the caller comes again and again."""
        with self._locked() as mine:
            stored = self._read()
            if mine:
                self._refresh(stored, wanted, watching)
        problem = stored.queue_problem
        if not mine and self._unasked(stored, wanted):
            problem = "another command of yours is asking it just now"
        return Snapshot(
            queue={job: stored.queue[job] for job in wanted if job in stored.queue},
            accounts={job: stored.over[job] for job in wanted if job in stored.over},
            asked=stored.answered,
            queue_problem=problem,
            accounts_problem=stored.accounts_problem,
            missing={job: stored.missing[job] for job in wanted if job in stored.missing},
        )

    def fresh(self) -> None:
        """Something of ours has changed: the next call asks, and watchers look often again."""
        with self._locked() as mine:
            if mine:
                stored = self._read()
                stored.asked, stored.accounts_asked, stored.interval = 0.0, 0.0, FRESH_S
                self._write(stored)

    def _refresh(self, stored: Stored, wanted: Sequence[str], watching: bool) -> None:
        now = self._clock()
        if not 0 <= now - stored.asked < 2 * LONGEST_S:  # nobody has watched for a while
            stored.interval = FRESH_S
        due = not 0 <= now - stored.asked < (stored.interval if watching else FRESH_S)
        if due:
            self._ask_queue(stored, now)
            if watching:
                stored.interval = min(LONGEST_S, stored.interval * GROWTH)
        elif not self._unasked(stored, wanted) or 0 <= now - stored.accounts_asked < FRESH_S:
            return
        unsure = {job for job, missing in stored.missing.items() if now - missing.wanted < WANTED_S} if due else set()
        self._ask_accounts(stored, sorted({*wanted, *unsure}), now)
        lost = [job for job in (*wanted, *unsure) if not _known(stored, job)]
        kept = {job: missing for job, missing in stored.missing.items() if not due and not _known(stored, job)}
        for job in lost:
            old = stored.missing.get(job, Missing(0.0, now))
            since = old.since or (0.0 if stored.queue_problem else now)
            kept[job] = Missing(since, now if job in wanted else old.wanted, old.denied)
        stored.missing = kept
        if not stored.queue_problem:
            self._ask_by_name(stored)
        self._write(stored)

    def _ask_queue(self, stored: Stored, now: float) -> None:
        answer = query.squeue(str(os.getuid()))
        stored.asked = now
        stored.queue_problem = answer.text if isinstance(answer, Problem) else ""
        if isinstance(answer, Problem):
            return
        stored.answered = now
        stored.queue = answer
        for job, row in answer.items():
            if not ended(row.state):
                stored.over.pop(job, None)  # it was requeued
            elif not (job in stored.over and stored.over[job].exit_code):
                stored.over[job] = row
        for job in list(stored.over)[:-MOST]:
            del stored.over[job]

    def _ask_accounts(self, stored: Stored, jobs: Sequence[str], now: float) -> None:
        """Ask accounting for what the queue does not tell: jobs that it has forgotten, and how others ended."""
        asked = [job for job in jobs if (job not in stored.queue or job in stored.over) and not _told(stored, job)]
        if not asked or 0 <= stored.no_accounts_until - now:
            return
        found = query.sacct(asked)
        stored.accounts_asked = now
        stored.accounts_problem = found.text if isinstance(found, Problem) else ""
        if isinstance(found, Problem):
            stored.no_accounts_until = now + NO_ACCOUNTING_S if found.off else 0.0
            return
        # What accounting calls running while the queue does not know it is still to be told of its end.
        active = {job for job, row in stored.queue.items() if not ended(row.state)}
        stored.over |= {job: row for job, row in found.items() if ended(row.state) and job not in active}

    def _ask_by_name(self, stored: Stored) -> None:
        """An answer without a job may be a fault of the answer; that there is no such job is a statement."""
        for job in [job for job, missing in stored.missing.items() if not missing.denied][:DENIALS]:
            stored.missing[job].denied = control.state(job) == "gone"

    def _unasked(self, stored: Stored, wanted: Sequence[str]) -> bool:
        """Whether there is a job that nobody has been asked about: it was sent a moment ago."""
        return any(not _known(stored, job) and job not in stored.missing for job in wanted)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[bool]:
        """Whether this process may ask Slurm and write the cache; another one that does so is waited for a while."""
        if self._path is None:
            yield True
            return
        try:
            descriptor = os.open(self._path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
        except OSError:
            yield True
            return
        try:
            yield _lock(descriptor)
        finally:
            os.close(descriptor)

    def _read(self) -> Stored:
        if self._path is not None:
            with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
                return msgspec.json.decode(self._path.read_bytes(), type=Stored)
        return self._own

    def _write(self, stored: Stored) -> None:
        if self._path is None:
            return
        draft = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}.tmp")
        with contextlib.suppress(OSError):  # a full or read-only home: the next process asks again
            try:
                descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(msgspec.json.encode(stored))
                draft.rename(self._path)
            except OSError:
                draft.unlink(missing_ok=True)


def _known(stored: Stored, job: str) -> bool:
    return job in stored.queue or job in stored.over


def _told(stored: Stored, job: str) -> bool:
    """Whether all is known of how a job ended."""
    return job in stored.over and bool(stored.over[job].exit_code)


def _lock(descriptor: int) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        except OSError:  # this file system has no locks
            return True
