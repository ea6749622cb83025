"""`sacct`: what accounting remembers of jobs and their steps."""

import sys
import time
from collections.abc import Iterator
from typing import Any

from hpcjobs.testing.fake import shown
from hpcjobs.testing.fake.entries import AGE, WIDTHS, fields
from hpcjobs.testing.fake.machine import dialect
from hpcjobs.testing.fake.options import FLAG, MAYBE, VALUE, Options, fail
from hpcjobs.testing.fake.store import Job, Store
from hpcjobs.testing.fake.units import moment

KINDS = {
    **dict.fromkeys(("noheader", "parsable", "parsable2", "allocations", "duplicates", "allusers", "long", "truncate",
                     "helpformat", "brief", "noconvert", "array", "completion", "verbose"), FLAG),
    **dict.fromkeys(("jobs", "starttime", "endtime", "user", "uid", "name", "state", "format", "partition", "accounts",
                     "delimiter", "clusters", "nodelist", "qos", "units", "timelimit-min", "group", "gid",
                     "wckeys"), VALUE),
    "json": MAYBE,
}  # fmt: skip
SHORT = {
    "n": "noheader", "p": "parsable", "P": "parsable2", "X": "allocations", "D": "duplicates", "a": "allusers",
    "l": "long", "j": "jobs", "S": "starttime", "E": "endtime", "u": "user", "s": "state", "o": "format",
    "r": "partition", "A": "accounts", "M": "clusters", "N": "nodelist", "q": "qos", "T": "truncate", "b": "brief",
    "e": "helpformat", "g": "group", "W": "wckeys",
}  # fmt: skip
DEFAULT = "JobID,JobName,Partition,Account,AllocCPUS,State,ExitCode"
DISABLED = "Slurm accounting storage is disabled"


def main(argv: list[str], store: Store) -> int:
    """Print the jobs asked for, and their steps."""
    given, words = Options("sacct", KINDS, SHORT).parse(argv)
    if words:
        fail(1, f"sacct: error: Unrecognized option: {words[0]}")
    scenario = store.scenario()
    if scenario.get("no_accounting"):
        fail(1, DISABLED)
    config = store.config()
    names = {name.lower(): name for name in fields(config) if dialect(config) >= AGE.get(name, (0, 0))}
    asked = [part.strip() for part in given.get("format", DEFAULT).split(",") if part.strip()]
    unknown = [part for part in asked if part.partition("%")[0].lower() not in names]
    if unknown:
        fail(1, f'sacct: fatal: Invalid field requested: "{unknown[0].partition("%")[0]}"')
    columns = [(names[part.partition("%")[0].lower()], part.partition("%")[2]) for part in asked]
    shape = Shape(given, columns)
    if "noheader" not in given:
        shape.heading()
    known, forged = fields(config), scenario.get("sacct_fields", {})
    for job in merged(list(found(store, given)), given):
        for record in records(as_known(job, scenario), given):
            texts = [str(known[name](record)) for name, _ in columns]
            # Forged values stand only where there is one: MaxRSS in the lines of steps, for instance.
            shape.put([forged.get(name, text) if text else "" for (name, _), text in zip(columns, texts, strict=True)])
    sys.stdout.flush()
    return 0


def found(store: Store, given: dict[str, str]) -> Iterator[Job]:
    """The jobs asked for: by number, else those of the user since midnight or --starttime."""
    now = time.time()
    try:
        wanted = shown.wanted_ids(given["jobs"]) if "jobs" in given else []
        since = moment(given["starttime"], now) if "starttime" in given else (0 if wanted else now - now % 86400)
        until = moment(given["endtime"], now) if "endtime" in given else now + 1
    except ValueError as wrong:
        fail(1, f"sacct: fatal: Bad job/step specified or invalid time: {wrong}")
    for job in store.jobs():
        inside = (job["end"] or now) >= since and job["submit"] <= until
        if inside and (not wanted or shown.is_one_of(job, wanted)) and fits(job, given):
            yield job


def fits(job: Job, given: dict[str, str]) -> bool:
    """Whether the filters let a job through."""
    lists = {"user": (job["user"], str(job["uid"])), "uid": (str(job["uid"]), job["user"]), "name": (job["name"],),
             "partition": (job["partition"],), "accounts": (job["account"],), "qos": (job["qos"],)}  # fmt: skip
    for option, values in lists.items():
        if option in given and not set(values) & set(given[option].split(",")):
            return False
    if "state" in given:
        asked = {shown.LONG.get(word.upper(), word.upper()) for word in given["state"].split(",")}
        return job["state"] in asked
    return True


def as_known(job: Job, scenario: dict[str, Any]) -> Job | None:
    """A job as accounting knows it, with a lag: some seconds ago; None if it has not heard of it."""
    lag, odd = float(scenario.get("accounting_lag", 0)), scenario.get("unknown_state")
    then = time.time() - lag
    if job["submit"] > then:
        return None
    if lag and job["end"] and job["end"] > then:
        job = {**job, "state": "RUNNING" if job["start"] else "PENDING", "end": None, "exit_code": 0, "exit_signal": 0}
    return {**job, "state": shown.state({**job, "completing": False}, scenario)} if odd else job


def merged(jobs: list[Job], given: dict[str, str]) -> list[Job]:
    """The tasks of an array that wait as one line, 12_[3-9%2], unless --array asks for each."""
    if "array" in given:
        return jobs
    groups = [(group[0], group) for group in shown.collapsed(jobs)]
    return [{**job, "range": shown.waiting_tasks(group)} if shown.together(job) else job for job, group in groups]


def records(job: Job | None, given: dict[str, str]) -> Iterator[dict[str, Any]]:
    """The lines of a job: earlier attempts (with --duplicates), the job, and its steps."""
    if job is None:
        return
    attempts = [{**job, **attempt} for attempt in job["history"]] if "duplicates" in given else []
    for attempt in [*attempts, job]:
        yield {"job": attempt, "step": None}
        if "allocations" in given or not attempt["start"]:
            continue
        for name in () if attempt["interactive"] else ("batch", "extern"):
            yield {"job": attempt, "step": {"name": name}}
        for step in attempt["steps"]:
            yield {"job": attempt, "step": step}


class Shape:
    """How the lines are laid out: with bars between, or in columns of fixed widths that cut."""

    def __init__(self, given: dict[str, str], columns: list[tuple[str, str]]) -> None:
        self.columns = columns
        self.bars = "parsable" in given or "parsable2" in given
        self.delimiter = given.get("delimiter", "|")
        self.last = self.delimiter if "parsable" in given else ""

    def heading(self) -> None:
        self.put([name for name, _ in self.columns])
        if not self.bars:
            print(" ".join("-" * abs(self.width(name, asked)) for name, asked in self.columns) + " ")

    def width(self, name: str, asked: str) -> int:
        return int(asked) if asked else WIDTHS.get(name, 10)

    def put(self, texts: list[str]) -> None:
        if self.bars:
            print(self.delimiter.join(texts) + self.last)
            return
        cells = []
        for text, (name, asked) in zip(texts, self.columns, strict=True):
            width = self.width(name, asked)
            size = abs(width)
            cut = text if len(text) <= size else text[: size - 1] + "+"
            cells.append(cut.ljust(size) if width < 0 else cut.rjust(size))
        print(" ".join(cells) + " ")
