"""Cancelling: the mark in the run folder first, so that nothing starts again by itself, then Slurm, or the process."""

import os
import platform
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from hpcjobs.data.publish import publish_bytes
from hpcjobs.errors import LaunchError, SlurmError
from hpcjobs.launch import sweep
from hpcjobs.launch.slurm import command
from hpcjobs.launch.slurm.cache import Cache
from hpcjobs.launch.submitting import settle
from hpcjobs.launch.truth import Verdict, look
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.lease import owner
from hpcjobs.runs.outcome import now
from hpcjobs.runs.records import Cancelled

IDS_A_CALL = 500
WAITS = ("pending", "requeued", "submitting")


@dataclass(frozen=True)
class Cancellation:
    """What became of one run."""

    run: Path
    job_id: str
    state: str  # before
    asked: bool  # whether somebody was told to stop


def cancel(runs: Sequence[Path]) -> list[Cancellation]:
    """Stop runs wherever they are. What waits in the queue is cancelled first, so that it does not start meanwhile."""
    for home in dict.fromkeys(path.parent if sweep.read(path.parent) else path for path in runs):
        settle(home)  # a job of unknown fate could not be cancelled
    cache = Cache.open()
    cache.fresh()
    found = look(runs, cache)
    going = sorted(
        (one for one in found if not one.ended and one.state != "not started"), key=lambda one: one.state not in WAITS
    )
    jobs = [one.job_id for one in going if one.job_id]
    for one in going:
        if one.job_id:
            mark(RunFolder(one.run), one.job_id)
    for first in range(0, len(jobs), IDS_A_CALL):
        answer = command.ask(["scancel", *jobs[first : first + IDS_A_CALL]])
        if answer.code != 0 and "already completed" not in answer.err.lower():
            raise SlurmError(
                f"scancel: {answer.problem}; the mark is set, so that nothing is requeued; try again: hpcjobs cancel"
            )
    for one in going:
        if not one.job_id:
            end_process(one)
    cache.fresh()
    return [Cancellation(one.run, one.job_id, one.state, one in going) for one in found]


def mark(folder: RunFolder, job: str) -> None:
    """Say in the folder that a job must not go on by itself."""
    content = Cancelled(list(dict.fromkeys([*folder.cancelled_jobs(), job])), now())
    publish_bytes(folder.cancelled, msgspec.json.encode(content) + b"\n")


def end_process(verdict: Verdict) -> None:
    """Ask the process that runs a folder on this machine to save and stop."""
    runs_it = owner(RunFolder(verdict.run))
    if runs_it is None:
        return
    if runs_it["host"] != platform.node():
        raise LaunchError(f"{verdict.run}: runs as process {runs_it['pid']} on {runs_it['host']}; cancel it there")
    os.kill(runs_it["pid"], signal.SIGTERM)
