"""Whether a job that stopped at a checkpoint goes back into the queue. Exit code 75 alone does not say so."""

import shlex

from hpcjobs.launch.slurm import control
from hpcjobs.runs import submission
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.process import slurm_job, slurm_restarts

DEFAULT = 10
GOES_ON = ("time_limit", "preempted")


def requeue(folder: RunFolder, most: int | None = None) -> str | None:
    """Requeue the surrounding job; None when done, else why not."""
    job = slurm_job()
    sent = submission.read(folder.path) or submission.read(folder.path.parent)
    limit = most if most is not None else sent.max_requeues if sent else DEFAULT
    refusal = refused(folder, job, slurm_restarts(), limit)
    if refusal is not None:
        return refusal
    says = control.state(job)
    if says not in ("RUNNING", ""):
        return f"Slurm says that job {job} is {says}"
    answer = control.requeue(job)
    if answer.code != 0:
        return f"{answer.problem}; from a login node: hpcjobs submit {shlex.quote(str(folder.path))}"
    return None


def refused(folder: RunFolder, job: str, restarts: int, limit: int) -> str | None:
    """Why the run must not go on by itself; None when it may."""
    outcome = folder.read_outcome()
    if not job:
        return "not inside a Slurm job"
    if outcome.get("cause") not in GOES_ON:
        return f"it did not end at a time limit or by preemption, but: {outcome.get('reason', 'nothing is known')}"
    if {job, job.partition("_")[0]} & set(folder.cancelled_jobs()):
        return "it was cancelled"
    last = outcome["attempts"][-1]
    if last["last_step"] <= last["first_step"]:
        return f"the last attempt did not get beyond step {last['first_step']}: give it more time"
    if restarts >= limit:
        return f"it was requeued {restarts} times already, and --max-requeues is {limit}"
    return None
