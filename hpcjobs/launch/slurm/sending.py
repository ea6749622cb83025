"""Sending one job exactly once: a call whose answer is lost is looked up by its token before it is made again."""

import os
import re
import time
from collections.abc import Sequence

from hpcjobs.errors import SlurmError
from hpcjobs.launch.slurm import query
from hpcjobs.launch.slurm.command import ask

JOB_ID = re.compile(r"(\d+)(?:;[\w.-]+)?")
TRIES = 3
# Before a call is made again: a request that is still on its way must have time to arrive.
LOOKS_S = (1.0, 4.0, 15.0)
# A controller that was silent so often in a row is not waited for: the next submit of the run looks again.
PATIENCE = 2


class RefusedError(SlurmError):
    """Slurm would not take the job, and cannot have taken it before."""


class UnknownFateError(SlurmError):
    """Nobody can say whether Slurm took the job: the controller does not answer."""


def send(argv: Sequence[str], name: str) -> str:
    """Call sbatch until one job of that name exists; its number. RefusedError has Slurm's own words."""
    for attempt in range(TRIES):
        answer = ask(argv)
        accepted = parse(answer.out) if answer.code == 0 else ""
        if accepted and attempt == 0:
            return accepted
        refused = not accepted and answer.code not in (0, None) and not answer.lost
        if refused and attempt == 0:
            raise RefusedError(f"Slurm refused the job: {refusal(answer.problem)}")
        found = accepted or look_again(name)
        if found:
            return keep_one(name, found)
        if refused:
            raise SlurmError(f"Slurm refused the job: {refusal(answer.problem)}")
    raise SlurmError(f"sbatch was called {TRIES} times and made no job; its last words: {answer.problem}")


def look_again(name: str) -> str:
    """The job of a name, "" if Slurm does not have it by now; UnknownFateError when nobody answers."""
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
    return ""


def jobs_named(name: str) -> list[str] | None:
    """The numbers of the jobs of that name, the oldest first; None when one that may know does not answer."""
    user = str(os.getuid())
    answer = ask(["squeue", "--noheader", "--states=all", f"--user={user}", f"--name={name}", "--format=%F|%j"])
    if answer.code != 0:
        return None
    ids = {line.strip().partition("|")[0] for line in answer.out.splitlines() if line.strip().endswith(f"|{name}")}
    if not ids:  # it may have ended and been forgotten by the controller
        argv = ["sacct", "--noheader", "--parsable2", "--allocations", f"--name={name}", "--starttime=now-30days"]
        known = ask([*argv, f"--user={user}", "--format=JobID,JobName"])
        if known.code != 0 and query.NO_ACCOUNTING not in (known.err + known.out).lower():
            return None
        ids = {re.split(r"[_|]", line)[0] for line in known.out.splitlines() if line.endswith(f"|{name}")}
    return sorted((found for found in ids if found.isdigit()), key=int)


def keep_one(name: str, found: str) -> str:
    """Of several jobs that a lost answer has made, let the first live."""
    twins = jobs_named(name) or [found]
    if len(twins) > 1:
        ask(["scancel", *twins[1:]])
    return twins[0]


def parse(text: str) -> str:
    """The number in an answer of `sbatch --parsable`, "" if none; lines that a site adds around it are passed over."""
    for line in reversed(text.splitlines()):
        found = JOB_ID.fullmatch(line.strip())
        if found:
            return found[1]
    return ""


def refusal(problem: str) -> str:
    """Slurm's complaint without its prefixes."""
    return re.sub(r"^(sbatch: )?(error: )?(Batch job submission failed: )?", "", problem)
