"""Say how runs are doing."""

import json
import time
from collections import Counter
from collections.abc import Sequence

from hpcjobs.cli import Parser
from hpcjobs.launch.chosen import NAMES, Chosen, choose, everything
from hpcjobs.launch.slurm.cache import Cache
from hpcjobs.launch.truth import Verdict, look
from hpcjobs.runs.progress import say
from hpcjobs.runs.reached import Line, line_of
from hpcjobs.runs.wording import columns

WATCH_S = 2.0
TITLES = ("run", "state", "job", "since", "progress", "left", "reason")


def main(argv: list[str]) -> int:
    """`hpcjobs status`: the runs named, else all that have not ended."""
    parser = Parser(prog="hpcjobs status", description=__doc__)
    parser.add_argument("runs", nargs="*", metavar="RUN", help=f"{NAMES} (default: every run that has not ended)")
    parser.add_argument(
        "--watch", action="store_true", help="print again whenever something has changed, until all end"
    )
    parser.add_argument("--json", action="store_true", help="a JSON list on stdout, one object a run")
    given = parser.parse(argv)
    chosen = choose(given.runs) if given.runs else everything()
    cache, before = Cache.open(), ""
    try:
        while True:
            verdicts = look([run for one in chosen for run in one.runs], cache, watching=given.watch)
            text = as_json(verdicts) if given.json else as_text(chosen, verdicts, named=bool(given.runs))
            if text != before:
                print(text, flush=True)
            before = text
            if not given.watch or all(verdict.ended for verdict in verdicts):
                return 0
            time.sleep(WATCH_S)
    except KeyboardInterrupt:
        say("stopped watching; the runs go on")
        return 130


def as_json(verdicts: Sequence[Verdict]) -> str:
    """Every run as an object."""
    return json.dumps([told(verdict) for verdict in verdicts], indent=2)


def told(verdict: Verdict) -> dict[str, object]:
    """One run as plain values."""
    line = line_of(verdict.run)
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
        "rate": line.rate,
        "seconds_left": line.seconds_left,
        "digest": verdict.digest,
    }


def as_text(chosen: Sequence[Chosen], verdicts: Sequence[Verdict], *, named: bool) -> str:
    """A line a run; a sweep among others is one line with its tasks counted."""
    by_run = {verdict.run: verdict for verdict in verdicts}
    rows = []
    for one in chosen:
        mine = [by_run[run] for run in one.runs]
        if not named and all(verdict.ended or verdict.state == "not started" for verdict in mine):
            continue
        if one.tasks and not (named and len(chosen) == 1):
            rows.append(summary(one, mine))
        else:
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
    since = Line.age(verdict.since)
    return (
        name,
        verdict.state,
        verdict.job_id,
        since,
        line.progress,
        line.left if not verdict.ended else "",
        verdict.reason,
    )


def summary(one: Chosen, verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    """The cells of a sweep: how many of its tasks are in which state."""
    counts = Counter(verdict.state for verdict in verdicts)
    states = ", ".join(f"{count} {state}" for state, count in counts.most_common())
    jobs = sorted({verdict.job_id.partition("_")[0] for verdict in verdicts if verdict.job_id})
    done = f"{counts['done']}/{len(verdicts)} done"
    return (one.path.name, states, ",".join(jobs), "", done, "", "")
