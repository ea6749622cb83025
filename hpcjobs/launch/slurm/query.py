"""Asking squeue and sacct about many jobs at once, in text formats that every Slurm since 20.11 prints alike."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from hpcjobs.launch.slurm import command
from hpcjobs.launch.slurm.rows import Row

Rows = dict[str, Row]

# The two that may hold anything stand last: what a job waits for, and its name.
QUEUE = "%i|%T|%S|%e|%l|%D|%P|%r|%j"
QUEUED = ("JobID", "State", "Start", "End", "Timelimit", "NNodes", "Partition", "Reason", "JobName")
ACCOUNT = ("JobID", "State", "ExitCode", "Start", "End", "Timelimit", "NNodes", "Partition", "Reason", "JobName")
NOTHING = ("N/A", "Partition_Limit", "Unknown", "None", "NONE", "(null)", "INVALID")
# More ids than this in one command line would meet the system's limit on its length.
IDS_A_CALL = 5000
# A collapsed array is written out up to this many tasks, which is more than most sites allow.
TASKS = 100_000
ID = re.compile(r"(\d+)(_\d+|_\[[^\]]*\]|\+\d+)?")
NO_ACCOUNTING = "accounting storage is disabled"
UNKNOWN_COLUMN = re.compile(r'[Ii]nvalid field requested: "?(\w+)')


@dataclass(frozen=True)
class Problem:
    """Why there is no answer; `off` where the site keeps no accounts, so that asking again makes no sense."""

    text: str
    off: bool = False


def squeue(user: str) -> Rows | Problem:
    """All jobs of a user (name or number) that the controller knows, those that ended a moment ago included."""
    argv = ["squeue", "--noheader", "--array", "--states=all", f"--user={user}", f"--format={QUEUE}"]
    answer = command.ask(argv)
    return Problem(answer.problem) if answer.code != 0 else rows(parse(answer.out, QUEUED))


def sacct(ids: Sequence[str]) -> Rows | Problem:
    """What accounting knows of some jobs."""
    found: Rows = {}
    wanted = sorted({job.partition("_")[0] for job in ids})
    for first in range(0, len(wanted), IDS_A_CALL):
        some = ",".join(wanted[first : first + IDS_A_CALL])
        lines = columns(["--allocations", f"--jobs={some}"], ACCOUNT)
        if isinstance(lines, Problem):
            return lines
        found |= rows(lines)
    return found


def columns(options: Sequence[str], names: Sequence[str]) -> list[dict[str, str]] | Problem:
    """Lines of sacct by column, the first two JobID and State; a column that this Slurm does not know is left out."""
    wanted = list(names)
    while True:
        answer = command.ask(["sacct", "--noheader", "--parsable2", f"--format={','.join(wanted)}", *options])
        if NO_ACCOUNTING in (answer.err + answer.out).lower():
            return Problem("this site keeps no accounts of jobs (sacct: accounting storage is disabled)", off=True)
        if answer.code == 0:
            return parse(answer.out, wanted)
        unknown = UNKNOWN_COLUMN.search(answer.err)
        left = [name for name in wanted if unknown is None or name.lower() != unknown[1].lower()]
        if len(left) == len(wanted):
            return Problem(answer.problem)
        wanted = left


def expand(job: str) -> list[str]:
    """The ids that one line stands for: `12_[3-5,9%2]` is 12_3, 12_4, 12_5, 12_9."""
    number, bracket, inside = job.partition("_[")
    if not bracket:
        return [job]
    tasks: list[int] = []
    for part in inside.rstrip("]").partition("%")[0].split(","):
        span = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part)
        if span:  # a list that Slurm cut short ends in "..."
            first, last, step = int(span[1]), int(span[2] or span[1]), int(span[3] or 1)
            tasks += range(first, last + 1, max(step, 1))[:TASKS]
    return [f"{number}_{task}" for task in tasks[:TASKS]]


def utc(moment: str) -> str:
    """A time of Slurm's, which is local, as our files write it; empty when it is none."""
    try:
        return datetime.fromisoformat(moment).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return ""


def parse(text: str, names: Sequence[str]) -> list[dict[str, str]]:
    """The lines of an answer by column; banners, headings of clusters and blank lines are passed over."""
    return [fields for line in text.splitlines() if (fields := _fields(line, names))]


def rows(lines: Sequence[dict[str, str]]) -> Rows:
    """Jobs by id, each task of an array as `12_3`; a line of its own says more than one for many tasks."""
    found: Rows = {}
    for fields in sorted(lines, key=lambda fields: "[" not in fields["JobID"]):
        for job in expand(fields["JobID"]):
            found[job] = Row(
                id=job,
                state=fields.get("State", ""),
                reason=fields.get("Reason", ""),
                exit_code=fields.get("ExitCode", ""),
                start=fields.get("Start", ""),
                end=fields.get("End", ""),
                limit=fields.get("Timelimit", ""),
                nodes=fields.get("NNodes", ""),
                name=fields.get("JobName", ""),
                partition=fields.get("Partition", ""),
            )
    return found


def _fields(line: str, names: Sequence[str]) -> dict[str, str]:
    """One line by column; empty when it is not of a job. The last column may hold the separator."""
    parts = line.split("|", len(names) - 1)
    number = parts[0].strip()
    if len(parts) != len(names) or not ID.match(number) or not parts[1].strip():
        return {}
    values = (part.strip() for part in parts)
    return {name: "" if value in NOTHING else value for name, value in zip(names, values, strict=True)}
