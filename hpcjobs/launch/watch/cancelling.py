"""Cancelling: the mark in the run folder first, so that nothing starts again by itself, then Slurm, or the process."""

import os
import platform
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from hpcjobs.data.publish import publish_bytes
from hpcjobs.errors import DataError, LaunchError, SlurmError
from hpcjobs.launch.slurm import command, states
from hpcjobs.launch.slurm.cache import Cache
from hpcjobs.launch.submitting import settle
from hpcjobs.launch.watch.truth import Verdict, look
from hpcjobs.runs import submission
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.lease import holding, owner
from hpcjobs.runs.outcome import now
from hpcjobs.runs.process import process_space
from hpcjobs.runs.records import Cancelled
from hpcjobs.runs.sweeps import home

IDS_A_CALL = 500
WAITS = ("pending", "requeued", "submitting")
# What scancel complains about when there was nothing left to cancel.
GONE = ("already completing or completed", "invalid job id", "job/step already completed")


@dataclass(frozen=True)
class Cancellation:
    """What became of one run."""

    run: Path
    job_id: str
    state: str  # before
    asked: bool  # whether somebody was told to stop


def cancel(runs: Sequence[Path]) -> list[Cancellation]:
    """Stop runs wherever they are. What waits in the queue is cancelled first, so that it does not start meanwhile."""
    cache = Cache.open()
    cache.fresh()
    found = look(runs, cache)
    _mark(found)  # before anybody is asked: whoever does not answer now will find it
    homes = dict.fromkeys(home(one.run) for one in found if one.state == "submitting")
    for path in homes:
        settle(path)  # a job of unknown fate could not be cancelled
    if homes:
        found = look(runs, cache)
        _mark(found)
    stopping = {one.run: _whoever_runs(one) for one in _going(found)}
    going = [each for several in stopping.values() for each in several]
    try:
        end_jobs(going, runs)
    finally:
        cache.fresh()
    problems = [trouble for one in going if not one.job_id and (trouble := end_process(one))]
    if problems:
        raise LaunchError("; ".join(problems))
    return [
        Cancellation(one.run, stopping.get(one.run, [one])[0].job_id, one.state, one.run in stopping) for one in found
    ]


def end_jobs(going: Sequence[Verdict], meant: Sequence[Path]) -> None:
    """Ask Slurm to end jobs; SlurmError when it does not, with what to do."""
    ids = job_ids([one for one in going if one.job_id], meant)
    for first in range(0, len(ids), IDS_A_CALL):
        answer = command.ask(["scancel", *ids[first : first + IDS_A_CALL]])
        said = [line.lower() for line in answer.err.splitlines() if line.strip()]
        if answer.code == 0 or (said and all(any(word in line for word in GONE) for line in said)):
            continue
        raise SlurmError(
            f"scancel: {answer.problem}; jobs {', '.join(ids[first : first + 3])}{' ...' if ids[first + 3 :] else ''} "
            "may go on, but will not be requeued: they are marked as cancelled; try the same command again later"
        )


def job_ids(going: Sequence[Verdict], meant: Sequence[Path]) -> list[str]:
    """What to tell scancel, the waiting ones first; an array all of whose tasks are meant by its one number."""
    waiting = {one.job_id: one.state in WAITS for one in going}
    wholes: dict[str, bool] = {}
    for path in dict.fromkeys(home(one.run) for one in going if "_" in one.job_id):
        record = submission.read(path)
        named = {int(run.name.rpartition("-")[2]) for run in meant if run.parent == path}
        for sent in record.sent if record else []:
            if sent.job_id and {sent.offset + index for index in submission.indices(sent.array)} <= named:
                wholes[sent.job_id] = False
    found: dict[str, bool] = {}
    for job, waits in waiting.items():
        number = job.partition("_")[0]
        name = number if number in wholes else job
        found[name] = found.get(name, False) or waits
    return sorted(found, key=lambda name: not found[name])


def end_process(verdict: Verdict) -> str:
    """Ask the process that runs a folder on this machine to save and stop; why that is not possible, or nothing."""
    runs_it = owner(RunFolder(verdict.run))
    if runs_it is None:
        return ""
    if (runs_it["host"], runs_it["space"]) != (platform.node(), process_space()):
        return (
            f"{verdict.run}: runs as process {runs_it['pid']} on {runs_it['host']}, which this machine cannot stop; "
            f"there: kill -TERM {runs_it['pid']}"
        )
    try:
        os.kill(runs_it["pid"], signal.SIGTERM)
    except ProcessLookupError:
        return ""
    except PermissionError:
        return f"{verdict.run}: process {runs_it['pid']} belongs to another user, who can stop it"
    return ""


def _going(found: Iterable[Verdict]) -> list[Verdict]:
    return [one for one in found if not one.ended and one.state != "not started"]


def _whoever_runs(verdict: Verdict) -> list[Verdict]:
    """Who holds the lease (the job of a script sent by hand, or "" for a process), and the job sent last if it goes on.

    The holder, where there is one, comes first.
    """
    folder = RunFolder(verdict.run)
    attempts = holding(folder).get("attempts", [])
    if not attempts or attempts[-1]["job_id"] == verdict.job_id:
        return [verdict]
    holder = replace(verdict, job_id=attempts[-1]["job_id"])
    if not verdict.job_id:
        return [holder]
    if owner(folder) is None:
        return [verdict]
    if verdict.slurm is None or states.ended(verdict.slurm.state):
        return [holder]
    return [holder, replace(verdict, state=states.words(verdict.slurm.state))]


def _mark(found: Iterable[Verdict]) -> None:
    """Say in the folders that these jobs must not go on by themselves; in that of a sweep as well.

    What runs without Slurm is marked by its attempt.
    """
    marks: dict[Path, list[str]] = {}
    for one in _going(found):
        jobs = [job for job in dict.fromkeys((one.job_id, *(each.job_id for each in _whoever_runs(one)))) if job]
        attempts = [attempt["id"] for attempt in holding(RunFolder(one.run)).get("attempts", [])[-1:]]
        for path in dict.fromkeys((home(one.run), one.run)):
            marks.setdefault(path, []).extend(jobs or attempts)
    for path, jobs in marks.items():
        folder = RunFolder(path)
        content = Cancelled(list(dict.fromkeys([*folder.cancelled_jobs(), *jobs])), now())
        try:
            publish_bytes(folder.cancelled, msgspec.json.encode(content) + b"\n", durable=len(marks) < IDS_A_CALL)
        except DataError:  # a folder that cannot be written to; its job ends all the same
            continue
