"""What the ranks of one launch left behind, and the end of their processes."""

import contextlib
import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from harness.rank import FOLDER, STACK_SIGNAL

POLL = 0.02


@dataclass(frozen=True)
class RankEnd:
    """What is known of one rank when its test is over."""

    started: bool
    outcome: str | None  # passed, skipped, failed, or "none" when no test was found; None: no final report
    text: str  # its reason or traceback
    code: int | None  # exit code, negative for a signal; None: killed together with its watcher
    ended_at: int | None  # monotonic ns
    stack: str  # where it stood when it was asked
    printed: str

    @property
    def broke(self) -> bool:
        """Whether the others may wait for this rank in vain."""
        ended_badly = self.code is not None and (self.outcome is None or self.code != 0)
        return self.outcome == "failed" or ended_badly


def rank_end(folder: Path, rank: int) -> RankEnd:
    """Gather what a rank and its watcher have written so far."""

    def read(suffix: str) -> str:
        path = folder / f"rank-{rank}.{suffix}"
        return path.read_text(errors="replace") if path.exists() else ""

    report = json.loads(read("json") or "{}")
    finished = report.get("finished", False)
    at, _, code = read("end").partition(" ")
    return RankEnd(
        started=(folder / f"rank-{rank}.log").exists(),
        outcome=report["outcome"] if finished else None,
        text=report.get("text", ""),
        code=int(code) if code else None,
        ended_at=int(at) if at else None,
        stack=read("stack"),
        printed=read("log"),
    )


def ask_for_stacks(folder: Path, ranks: int) -> None:
    """Have every rank that has not reported write down where it stands, also inside an MPI call."""
    asked = []
    for rank in range(ranks):
        pid = folder / f"rank-{rank}.pid"
        if pid.exists() and rank_end(folder, rank).outcome is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid.read_text()), STACK_SIGNAL)
                asked.append(pid.with_suffix(".stack"))
    patience = time.monotonic() + 1
    while time.monotonic() < patience and not all(stack.stat().st_size for stack in asked):
        time.sleep(POLL)
    time.sleep(0.1 if asked else 0)  # a stack is written frame by frame


def end_processes(folder: Path) -> None:
    """Kill all that carry this launch's folder in their environment.

    Killing the launcher's process group is not enough: launchers give ranks sessions of their own.
    """
    mark = f"{FOLDER}={folder}".encode()
    patience = time.monotonic() + 5
    while found := [pid for pid in Path("/proc").iterdir() if pid.name.isdigit() and carries(pid, mark)]:
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid.name), signal.SIGKILL)
        if time.monotonic() > patience:
            raise RuntimeError(f"processes {[pid.name for pid in found]} do not die of SIGKILL")
        time.sleep(POLL)


def carries(process: Path, mark: bytes) -> bool:
    """Whether a process was started with `mark` in its environment."""
    try:
        return mark in (process / "environ").read_bytes().split(b"\0")
    except OSError:  # gone, or somebody else's
        return False
