"""Whether a job that stopped at a checkpoint goes back into the queue. Exit code 75 alone does not say so."""

import contextlib
import os
import shlex

from hpcjobs.launch.slurm import control
from hpcjobs.runs import submission
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.process import slurm_job
from hpcjobs.runs.records import stopped_by

DEFAULT = 10
# Ends of an attempt after which its job may run again; after the last one only if Slurm has preempted it.
GOES_ON = ("time_limit", "preempted", "terminated")
AT_LIMIT = stopped_by("SIGUSR1")
CANCELLED = "it was cancelled"


def requeue(folder: RunFolder, most: int | None = None, *, preempted: bool = False) -> str | None:
    """Requeue the surrounding job; None when done, else why not. `preempted`: Slurm says so, where the run cannot."""
    job = slurm_job()
    sent = submission.read(folder.path) or submission.read(folder.path.parent)
    limit = most if most is not None else sent.max_requeues if sent else DEFAULT
    refusal = refused(folder, job, limit, preempted=preempted)
    if refusal is not None:
        return refusal
    says = control.state(job)
    if says not in ("RUNNING", ""):
        return f"Slurm says that job {job} is {says}"
    if was_cancelled(folder, job):  # while Slurm was asked
        return CANCELLED
    answer = control.requeue(job)
    if answer.code != 0:
        return f"{answer.problem}; from a login node: hpcjobs submit {shlex.quote(str(folder.path))}"
    return None


def refused(folder: RunFolder, job: str, limit: int, *, preempted: bool = False) -> str | None:
    """Why the run must not go on by itself; None when it may."""
    outcome = folder.read_outcome()
    if not job:
        return "not inside a Slurm job"
    cause = outcome.get("cause")
    if cause not in GOES_ON or (cause == "terminated" and not preempted):
        return f"it did not end at a time limit or by preemption, but: {outcome.get('reason', 'nothing is known')}"
    if was_cancelled(folder, job):
        return CANCELLED
    *before, last = outcome["attempts"]
    if last["last_step"] <= last["first_step"]:
        return f"the last attempt did not get beyond step {last['first_step']}: give it more time"
    requeued = sum(attempt["job_id"] == job and attempt["reason"] == AT_LIMIT for attempt in before)
    if requeued >= limit:
        return f"it was requeued {requeued} times already, and --max-requeues is {limit}"
    return None


def was_cancelled(folder: RunFolder, job: str) -> bool:
    """Whether this job, or the array that it is a task of, was cancelled through hpcjobs."""
    with contextlib.suppress(OSError):
        os.listdir(folder.path)  # noqa: PTH208 (so that a network file system looks again for a mark not there before)
    return bool(job) and not {job, job.partition("_")[0]}.isdisjoint(folder.cancelled_jobs())
