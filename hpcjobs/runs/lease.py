"""The lease: which process runs a folder. Made with O_EXCL, taken over by rename, kept alive by its time stamp."""

import contextlib
import json
import os
import platform
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from hpcjobs.errors import RunFolderError
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.process import boot_id, myself, process_space, slurm_job, slurm_restarts, start_ticks
from hpcjobs.runs.records import Attempt

Attempts = list[dict[str, Any]]

HEARTBEAT_S = 20.0
# An owner on another host is given up when its lease was not touched for this long.
SILENCE_S = 180.0
# An owner on this host that is on its way out (its launcher was killed) is waited for this long.
PATIENCE_S = 5.0


class Lease:
    """The right of a run to write into its folder. Use `take`; then `check` before every rename."""

    def __init__(self, path: Path, token: str, *, beats: bool) -> None:
        """`beats`: this process, the one that took the lease, also keeps it alive."""
        self._path = path
        self._token = token
        self._released = threading.Event()
        if beats:
            threading.Thread(target=self._keep_alive, daemon=True, name="lease").start()

    def ours(self) -> bool:
        """Whether no other process has taken the folder over."""
        return bool(_read(self._path).get("token") == self._token)

    def check(self) -> None:
        """Raise when another process has taken the folder over: nothing may be published any more."""
        if not self.ours():
            raise RunFolderError(f"{self._path.parent}: another process has taken this run over; this one stops")

    def release(self) -> None:
        """Give the folder back."""
        self._released.set()
        if self.ours():
            self._path.unlink(missing_ok=True)

    def _keep_alive(self) -> None:
        while not self._released.wait(HEARTBEAT_S):
            if not self.ours():
                return
            with contextlib.suppress(OSError):  # a file server that stutters is no reason to stop
                os.utime(self._path)


def take(
    folder: RunFolder,
    attempt: dict[str, Any],
    ended: Sequence[dict[str, Any]],
    over: Callable[[str, str], bool] = lambda job, cluster: False,
) -> Attempts:
    """Take the lease of a folder and return all attempts at the run, this one last: its `id` is the token.

    `ended` are the attempts that told how they ended; those that only the lease of a dead owner tells of were killed.
    `over` tells whether Slurm has ended a job of a cluster: then what its heartbeat says does not matter any more.
    RunFolderError when a living process holds the folder.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        token = secrets.token_hex(8)
        previous = _read(folder.lease)
        attempts = [*told(previous, ended, folder), attempt | {"id": token}]
        draft = folder.path / f".lease.{token}.tmp"
        content = json.dumps({"token": token, "owner": myself(), "attempts": attempts})
        try:
            draft.write_text(content)
        except OSError as error:
            raise RunFolderError(f"{folder.path}: cannot be written: {error.strerror}; nothing can run there") from None
        try:
            if not previous:
                os.link(draft, folder.lease)  # fails if it exists; the lease appears with all its content
                return attempts
            # The draft's time comes from the file server, as the lease's does, whatever the clocks of the hosts say.
            alive = _alive(previous, folder.lease, draft.stat().st_mtime)
            if not alive or _ended_by_slurm(previous, over):
                if _take_over(folder.lease, draft, previous, token):
                    return attempts
                continue
        except FileExistsError:  # another process was quicker: look again
            if time.monotonic() > deadline and not _read(folder.lease):
                raise RunFolderError(f"{folder.lease}: unreadable; remove it if nothing runs here") from None
            time.sleep(0.2)
            continue
        finally:
            draft.unlink(missing_ok=True)
        owner = previous["owner"]
        if owner["host"] != platform.node() or time.monotonic() > deadline:
            raise RunFolderError(
                f"{folder.path}: in use by process {owner['pid']} on {owner['host']}; "
                "wait for it, or stop it with `kill -TERM` there, then resume"
            )
        time.sleep(0.2)


def _take_over(lease: Path, draft: Path, previous: dict[str, Any], token: str) -> bool:
    """Replace a dead owner's lease; of several that try, the one that claims the old token first wins."""
    claim = lease.with_name(f".lease.{previous['token']}.claimed.tmp")
    try:
        os.link(draft, claim)
    except FileExistsError:
        rival = _read(claim)
        if rival and not _alive(rival, claim, draft.stat().st_mtime):
            claim.unlink(missing_ok=True)  # its maker died between two system calls
        time.sleep(0.1)
        return False
    try:
        if _read(lease).get("token") != previous.get("token"):
            return False
        draft.rename(lease)
        return _read(lease).get("token") == token
    finally:
        claim.unlink(missing_ok=True)


def owner(folder: RunFolder) -> dict[str, Any] | None:
    """The living process (host, pid) that runs a folder; None when nobody does."""
    record = _read(folder.lease)
    return dict(record["owner"]) if record and _alive(record, folder.lease, time.time()) else None


def holding(folder: RunFolder) -> dict[str, Any]:
    """What the lease says: token and attempts; empty when there is none."""
    return _read(folder.lease)


def told(lease: dict[str, Any], ended: Sequence[dict[str, Any]], folder: RunFolder) -> Attempts:
    """The attempts that told how they ended, then those that only the lease of a dead owner tells of."""
    known = {attempt["id"] for attempt in ended}
    lost = [dict(attempt) for attempt in lease.get("attempts", []) if attempt["id"] not in known]
    for attempt in lost:
        if attempt["reason"] == "running":
            attempt |= {"reason": "killed", "last_step": folder.newest_step()}
    return [*ended, *lost]


def _ended_by_slurm(record: dict[str, Any], over: Callable[[str, str], bool]) -> bool:
    """Whether the owner was part of a job that Slurm has ended, or started again: as this very process."""
    attempt: dict[str, Any] = record["attempts"][-1] if record["attempts"] else {"job_id": ""}
    if not attempt["job_id"] or _here(record["owner"]):
        return False
    if not attempt["cluster"]:
        return False
    if (attempt["job_id"], attempt["cluster"]) == (slurm_job(), slurm_cluster()):
        return bool(attempt["restarts"] < slurm_restarts())
    return over(attempt["job_id"], attempt["cluster"])


def slurm_cluster() -> str:
    """The cluster of the Slurm job around this process; empty outside of any."""
    return os.environ.get("SLURM_CLUSTER_NAME", "")


def _here(owner: dict[str, Any]) -> bool:
    """Whether an owner's process number means something to us."""
    return bool(owner["host"] == platform.node() and owner["space"] == process_space())


def _alive(record: dict[str, Any], lease: Path, now: float) -> bool:
    """Whether the owner still runs: known for sure on this host, guessed from its heartbeat on another."""
    owner = record["owner"]
    if _here(owner):
        return bool(owner["boot"] == boot_id()) and start_ticks(owner["pid"]) == owner["started"]
    try:
        return now - lease.stat().st_mtime < SILENCE_S
    except FileNotFoundError:
        return False


class Owner(msgspec.Struct, frozen=True):
    """Who holds a lease."""

    host: str
    pid: int
    started: int
    boot: str
    space: str


class Record(msgspec.Struct, frozen=True):
    """What the lease holds."""

    token: str
    owner: Owner
    attempts: list[Attempt]


def _read(path: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = msgspec.to_builtins(msgspec.json.decode(path.read_bytes(), type=Record))
        return record
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}
