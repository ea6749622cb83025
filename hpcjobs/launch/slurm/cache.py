"""What Slurm said last, shared by every process of the user: however many watch, the controller is asked once."""

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from hpcjobs.launch.slurm import query
from hpcjobs.launch.slurm.query import Problem
from hpcjobs.launch.slurm.rows import Row
from hpcjobs.launch.slurm.states import ended
from hpcjobs.launch.slurm.where import cluster_key, state_folder

# A command that is typed once takes rows up to this age; those who watch wait longer and longer between two calls.
FRESH_S = 10.0
LONGEST_S = 180.0
GROWTH = 1.3
# Another process that asks just now is waited for this long; then what it knew before has to do.
PATIENCE_S = 5.0
NO_ACCOUNTING_S = 3600.0


class Stored(msgspec.Struct):
    """What the cache file holds."""

    asked: float = 0.0
    interval: float = FRESH_S
    queue: dict[str, Row] = {}
    queue_problem: str = ""
    accounts_asked: float = 0.0
    accounts_problem: str = ""
    no_accounts_until: float = 0.0
    # Jobs that have ended, from either witness: they are never asked for again.
    over: dict[str, Row] = {}
    # Jobs that accounting did not know when it was asked last.
    unknown: list[str] = []


@dataclass(frozen=True)
class Snapshot:
    """What Slurm's two witnesses said of the jobs asked for, and when."""

    queue: dict[str, Row]
    accounts: dict[str, Row]
    asked: float
    queue_problem: str
    accounts_problem: str


class Cache:
    """The file of one user and cluster. Without a home, or without locks there, every call asks Slurm itself."""

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock

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
        accounts = {job: stored.over[job] for job in wanted if job in stored.over}
        queue = {job: stored.queue[job] for job in wanted if job in stored.queue}
        return Snapshot(queue, accounts, stored.asked, stored.queue_problem, stored.accounts_problem)

    def fresh(self) -> None:
        """Something of ours has changed: the next call asks, and watchers look often again."""
        with self._locked() as mine:
            if mine:
                stored = self._read()
                stored.asked, stored.accounts_asked, stored.interval = 0.0, 0.0, FRESH_S
                self._write(stored)

    def _refresh(self, stored: Stored, wanted: Sequence[str], watching: bool) -> None:
        now = self._clock()
        age = stored.interval if watching else FRESH_S
        if 0 <= now - stored.asked < age:
            if not self._unasked(stored, wanted) or now - stored.accounts_asked < FRESH_S:
                return
        else:
            answer = query.squeue(str(os.getuid()))
            stored.asked = now
            stored.queue_problem = answer.text if isinstance(answer, Problem) else ""
            if not isinstance(answer, Problem):
                stored.queue = answer
                stored.over |= {job: row for job, row in answer.items() if ended(row.state)}
            if watching:
                stored.interval = min(LONGEST_S, stored.interval * GROWTH)
        missing = [job for job in wanted if job not in stored.queue and job not in stored.over]
        if missing and now >= stored.no_accounts_until:
            accounts = query.sacct(missing)
            stored.accounts_asked = now
            stored.accounts_problem = accounts.text if isinstance(accounts, Problem) else ""
            if isinstance(accounts, Problem):
                stored.no_accounts_until = now + NO_ACCOUNTING_S if accounts.off else 0.0
            else:
                # What accounting calls running while the queue does not know it has not been told of its end yet.
                stored.over |= {job: row for job, row in accounts.items() if ended(row.state)}
        stored.unknown = [job for job in missing if job not in stored.over]
        self._write(stored)

    def _unasked(self, stored: Stored, wanted: Sequence[str]) -> bool:
        """Whether there is a job that nobody has been asked about."""
        known = stored.queue.keys() | stored.over.keys() | set(stored.unknown)
        return any(job not in known for job in wanted)

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
        return Stored()

    def _write(self, stored: Stored) -> None:
        if self._path is None:
            return
        draft = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}.tmp")
        with contextlib.suppress(OSError):  # a full or read-only home: the next process asks again
            descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(stored))
            draft.rename(self._path)


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
