"""Sending one job exactly once: a call whose answer is lost is looked up by its token before it is made again."""

import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from hpcjobs.errors import SlurmError
from hpcjobs.launch.slurm.command import ask

JOB_ID = re.compile(r"(\d+)(?:;([\w.-]+))?")
TRIES = 3
# Before a call is made again: a request that is still on its way must have time to arrive.
LOOKS_S = (1.0, 4.0, 15.0)
# A controller that was silent so often in a row is not waited for: the next submit of the run looks again.
PATIENCE = 2


@dataclass(frozen=True)
class Accepted:
    """The number of a job, and the cluster where the site names one."""

    job_id: str
    cluster: str = ""


class UnknownFateError(SlurmError):
    """Nobody can say whether Slurm took the job: the controller does not answer."""


def send(argv: Sequence[str], name: str) -> Accepted:
    """Call sbatch until one job of that name exists; SlurmError with Slurm's own words when it will not take it."""
    for attempt in range(TRIES):
        answer = ask(argv)
        accepted = parse(answer.out) if answer.code == 0 else None
        if accepted and attempt == 0:
            return accepted
        if not accepted and answer.code not in (0, None) and not answer.lost:
            raise SlurmError(f"Slurm refused the job: {refusal(answer.problem)}")
        found = accepted or look_again(name)
        if found is not None:
            return keep_one(name, found)
    raise SlurmError(f"sbatch was called {TRIES} times and made no job; its last words: {answer.problem}")


def look_again(name: str) -> Accepted | None:
    """The job of a name, if Slurm has it by now; UnknownFateError when nobody answers."""
    silent = 0
    for pause in LOOKS_S:
        time.sleep(pause)
        found = jobs_named(name)
        if found:
            return found[0]
        silent = silent + 1 if found is None else 0
        if silent == PATIENCE:
            break
    if found is None:
        raise UnknownFateError(
            f"the Slurm controller does not answer: whether it took job {name} is not known yet; "
            "`hpcjobs submit RUNDIR` looks first and sends it only if it is not there"
        )
    return None


def jobs_named(name: str) -> list[Accepted] | None:
    """The jobs of that name, the oldest first; None when the controller does not answer."""
    user = str(os.getuid())
    answer = ask(["squeue", "--noheader", "--states=all", f"--user={user}", f"--name={name}", "--format=%F|%j"])
    if answer.code != 0:
        return None
    ids = {line.strip().partition("|")[0] for line in answer.out.splitlines() if line.strip().endswith(f"|{name}")}
    if not ids:  # it may have ended and been forgotten by the controller; without accounting there is no answer
        argv = ["sacct", "--noheader", "--parsable2", "--allocations", f"--name={name}", "--starttime=now-2days"]
        known = ask([*argv, f"--user={user}", "--format=JobID,JobName"])
        ids = {re.split(r"[_|]", line)[0] for line in known.out.splitlines() if line.endswith(f"|{name}")}
    return [Accepted(number) for number in sorted((found for found in ids if found.isdigit()), key=int)]


def keep_one(name: str, found: Accepted) -> Accepted:
    """Of several jobs that a lost answer has made, let the first live."""
    twins = jobs_named(name) or [found]
    if len(twins) > 1:
        ask(["scancel", *(twin.job_id for twin in twins[1:])])
    return twins[0] if found.job_id != twins[0].job_id else found


def parse(text: str) -> Accepted | None:
    """The number in an answer of `sbatch --parsable`; lines that a site adds around it are passed over."""
    for line in reversed(text.splitlines()):
        found = JOB_ID.fullmatch(line.strip())
        if found:
            return Accepted(found[1], found[2] or "")
    return None


def refusal(problem: str) -> str:
    """Slurm's complaint without its prefixes."""
    return re.sub(r"^(sbatch: )?(error: )?(Batch job submission failed: )?", "", problem)
