"""Asking the controller about one job, and telling it what to do with it."""

from hpcjobs.launch.slurm import states
from hpcjobs.launch.slurm.command import Answer, ask

QUICK_S = 20.0


def state(job: str) -> str:
    """What the controller says of a job now; "gone" when it does not know it any more, "" when it does not answer."""
    answer = ask(["squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T"], QUICK_S)
    lines = [line.strip() for line in answer.out.splitlines() if line.strip()]
    if answer.code == 0 and lines:
        return lines[-1]
    return "gone" if "invalid job id" in answer.err.lower() else ""


def over(job: str) -> bool:
    """Whether Slurm has ended a job for good: the controller keeps every job that still may run."""
    return ended(state(job))


def ended(says: str) -> bool:
    """Whether a job of which `state` says so is over; silence is no end."""
    return says == "gone" or states.ended(says)


def requeue(job: str) -> Answer:
    """Put the job back into the queue: it ends here and starts again under the same number."""
    return ask(["scontrol", "requeue", job], QUICK_S)
