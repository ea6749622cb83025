"""Asking the controller about one job, and telling it what to do with it."""

import os
import re

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


def over(job: str, cluster: str) -> bool:
    """Whether Slurm has ended a job for good: the controller keeps every job that still may run.

    Another cluster's controller knows nothing of the job, and may have one of the same number.
    """
    return cluster == name() and ended(state(job))


def name() -> str:
    """The name of the cluster that our commands ask; "" when nobody says it."""
    if os.environ.get("SLURM_CLUSTER_NAME"):
        return os.environ["SLURM_CLUSTER_NAME"]
    answer = ask(["scontrol", "show", "config"], QUICK_S)
    found = re.search(r"^ClusterName\s*=\s*(\S+)", answer.out, re.MULTILINE)
    return found[1] if found else ""


def ended(says: str) -> bool:
    """Whether a job of which `state` says so is over; silence is no end."""
    return says == "gone" or states.ended(says)


def requeue(job: str) -> Answer:
    """Put the job back into the queue: it ends here and starts again under the same number."""
    return ask(["scontrol", "requeue", job], QUICK_S)
