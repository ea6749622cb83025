"""Say how runs are doing."""

import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from hpcjobs.cli import Parser
from hpcjobs.launch.slurm.cache import Cache
from hpcjobs.launch.watch.chosen import NAMES, Chosen, choose, everything
from hpcjobs.launch.watch.silence import note
from hpcjobs.launch.watch.truth import Verdict, look
from hpcjobs.runs.progress import say
from hpcjobs.runs.reached import Line, line_of
from hpcjobs.runs.wording import columns, rate

WATCH_S = 2.0
INTERRUPTED = 130
CLEAR = "\033[H\033[2J"
TITLES = ("run", "state", "job", "since", "progress", "rate", "left", "reason")


def main(argv: list[str]) -> int:
    """`hpcjobs status`: the runs named, else all that have not ended. Ctrl-C stops watching, never a run."""
    parser = Parser(prog="hpcjobs status", description=__doc__)
    parser.add_argument("runs", nargs="*", metavar="RUN", help=f"{NAMES} (default: every run that has not ended)")
    parser.add_argument(
        "--watch", action="store_true", help="print again whenever something has changed, until all have ended"
    )
    parser.add_argument("--json", action="store_true", help="a JSON list on stdout, one object a run")
    given = parser.parse(argv)
    cache, before, trouble_before = Cache.open(), "", ""
    try:
        while True:
            chosen, verdicts = now(given.runs, cache, watching=given.watch)
            text = as_json(verdicts) if given.json else as_text(chosen, verdicts, named=bool(given.runs))
            trouble = note(verdicts, cache)
            if trouble != trouble_before and trouble:
                say(trouble)
            key = changes(verdicts)
            if key != before:
                drawn = given.watch and sys.stdout.isatty() and not given.json
                print(f"{CLEAR if drawn else ''}{text}", flush=True)
            before, trouble_before = key, trouble
            if not given.watch or all(verdict.ended or verdict.state == "not started" for verdict in verdicts):
                return 0
            time.sleep(WATCH_S)
    except KeyboardInterrupt:
        say("stopped watching; the runs go on")
        return INTERRUPTED


def now(names: Sequence[str], cache: Cache, *, watching: bool) -> tuple[list[Chosen], list[Verdict]]:
    """The runs named, or all that have not ended, with the verdict on each."""
    chosen = choose(names) if names else everything()
    verdicts = look([run for one in chosen for run in one.runs], cache, watching=watching)
    if names:
        return chosen, verdicts
    going = {found.run for found in verdicts if not found.ended and found.state != "not started"}
    chosen = [one for one in chosen if going & set(one.runs)]
    kept = {run for one in chosen for run in one.runs}
    return chosen, [found for found in verdicts if found.run in kept]


def changes(verdicts: Sequence[Verdict]) -> str:
    """What must differ for the runs to be worth printing again: not the time that has passed."""
    return repr([(found.run, found.state, found.reason, line_of(found.run).step) for found in verdicts])


def as_json(verdicts: Sequence[Verdict]) -> str:
    """Every run as an object."""
    return json.dumps([told(verdict) for verdict in verdicts], indent=2)


def told(verdict: Verdict) -> dict[str, Any]:
    """One run as plain values."""
    line = line_of(verdict.run)
    running = verdict.state == "running"
    return {
        "run": str(verdict.run),
        "name": verdict.run.name,
        "state": verdict.state,
        "reason": verdict.reason,
        "job_id": verdict.job_id,
        "exit_code": verdict.exit_code,
        "ended": verdict.ended,
        "since": verdict.since,
        "slurm_state": verdict.slurm.state if verdict.slurm else "",
        "step": line.step,
        "total": line.total,
        "rate": line.rate if running else None,
        "seconds_left": line.seconds_left if running else None,
        "digest": verdict.digest,
    }


def as_text(chosen: Sequence[Chosen], verdicts: Sequence[Verdict], *, named: bool) -> str:
    """A line a run; a sweep is one line with its tasks counted, and one for each of them where it is named alone."""
    by_run = {verdict.run: verdict for verdict in verdicts}
    rows = []
    for one in chosen:
        mine = [by_run[run] for run in one.runs]
        if one.tasks:
            rows.append(summary(one, mine))
        if not one.tasks or (named and len(chosen) == 1):
            rows += [
                row(verdict, f"{one.path.name}/{verdict.run.name}" if one.tasks else verdict.run.name)
                for verdict in mine
            ]
    if not rows:
        return "no run is going on; hpcjobs list names all there are"
    return "\n".join(columns([TITLES, *rows]))


def row(verdict: Verdict, name: str) -> tuple[str, ...]:
    """The cells of one run."""
    line = line_of(verdict.run) if verdict.state != "done" else Line()
    running = verdict.state == "running"
    return (
        name,
        verdict.state,
        verdict.job_id,
        Line.age(verdict.since),
        line.progress,
        rate(line.rate) if running else "",
        line.left if running else "",
        verdict.reason,
    )


def summary(one: Chosen, verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    """The cells of a sweep: how many of its tasks are in which state."""
    counts = Counter(verdict.state for verdict in verdicts)
    states = ", ".join(f"{count} {state}" for state, count in counts.most_common())
    jobs = sorted({verdict.job_id.partition("_")[0] for verdict in verdicts if verdict.job_id}, key=int)
    done = f"{counts['done']}/{len(verdicts)} done"
    return (one.path.name, f"{len(verdicts)} tasks: {states}", ",".join(jobs), "", done, "", "", "")
