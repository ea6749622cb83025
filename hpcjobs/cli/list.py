"""List your runs: state, age, progress, and any setting or result."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hpcjobs.cli import Parser
from hpcjobs.errors import SettingsError, UserError, nearest
from hpcjobs.launch.slurm.cache import Cache
from hpcjobs.launch.watch.chosen import everything
from hpcjobs.launch.watch.silence import note
from hpcjobs.launch.watch.truth import Verdict, look
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.progress import say
from hpcjobs.runs.reached import Line, line_of
from hpcjobs.runs.sweeps import home
from hpcjobs.runs.wording import columns, rate

TITLES = ("run", "job", "job_id", "state", "age", "progress", "rate", "left")
SORTS = ("age", "state", "name", "progress")
ALL = 30


def main(argv: list[str]) -> int:
    """`hpcjobs list`: every run of yours that is still there, the newest first; each task of a sweep is a run."""
    parser = Parser(prog="hpcjobs list", description=__doc__)
    parser.add_argument("--tag", action="append", default=[], help="only runs that have this tag; may be given again")
    parser.add_argument("--state", metavar="STATE", help="only runs in this state, such as failed or running")
    parser.add_argument("--sort", choices=SORTS, default="age", help="(default: age, the newest first)")
    parser.add_argument(
        "--columns", default="", metavar="A,B,...", help="settings or results, such as clusters,inertia"
    )
    parser.add_argument("--all", action="store_true", help=f"every run (default: the first {ALL} of them on a screen)")
    parser.add_argument("--json", action="store_true", help="a JSON list of every run on stdout, one object a run")
    given = parser.parse(argv)
    wanted = [name.strip().replace("-", "_") for name in given.columns.split(",") if name.strip()]
    wishes = {run: wish for one in everything() for run in one.runs if (wish := _wish(run)) is not None}
    runs = [run for run, wish in wishes.items() if set(given.tag) <= set(wish["tags"])]
    cache = Cache.open()
    everyone = look(runs, cache)
    verdicts = [found for found in everyone if given.state in (None, found.state)]
    if given.state and everyone and not verdicts:
        states = sorted({found.state for found in everyone})
        say(f"no run of yours is {given.state!r}; {nearest(given.state, states)}")
    trouble = note(verdicts, cache)
    if trouble:
        say(trouble)
    rows = [facts(verdict, wishes[verdict.run], wanted) for verdict in verdicts]
    refuse_unknown(wanted, rows, [wishes[verdict.run] for verdict in verdicts], verdicts)
    if given.sort != "age":  # which they have already
        rows.sort(key=lambda row: order(row, given.sort))
    if given.json:
        print(json.dumps(rows, indent=2))
        return 0
    shown = rows if given.all else rows[:ALL]
    titles = (*TITLES, *wanted)
    print("\n".join(columns([titles, *([_text(row[title]) for title in titles] for row in shown)])))
    if rows[len(shown) :]:
        say(f"and {len(rows) - len(shown)} more: hpcjobs list --all")
    return 0


def facts(verdict: Verdict, wish: dict[str, Any], wanted: Sequence[str]) -> dict[str, Any]:
    """One run, as the table and JSON tell of it."""
    line = line_of(verdict.run) if verdict.state != "done" else Line()
    running = verdict.state == "running"
    run = verdict.run
    name = run.name if home(run) == run else f"{run.parent.name}/{run.name}"
    row = {
        "run": name,
        "path": str(run),
        "name": wish["name"],
        "tags": wish["tags"],
        "job": wish["job"],
        "job_id": verdict.job_id,
        "state": verdict.state,
        "reason": verdict.reason,
        "age": Line.age(verdict.since),
        "since": verdict.since,
        "progress": line.progress,
        "step": line.step,
        "total": line.total,
        "rate": rate(line.rate) if running else "",
        "left": line.left if running else "",
        "seconds_left": line.seconds_left if running else None,
        "digest": verdict.digest,
    }
    if not wanted:
        return row
    results = _results(verdict) if set(wanted) - set(wish["settings"]) else {}
    return row | {name: wish["settings"].get(name, results.get(name)) for name in wanted}


def order(row: dict[str, Any], by: str) -> tuple[Any, ...]:
    """Where a run stands among the others: by name, by state, or those that are furthest first."""
    if by == "progress":
        share = 1.0 if row["state"] == "done" else (row["step"] or 0) / row["total"] if row["total"] else 0.0
        return (-share, -(row["step"] or 0))
    return (row["run"] if by == "name" else row["state"],)


def refuse_unknown(
    wanted: Sequence[str],
    rows: Sequence[dict[str, Any]],
    wishes: Sequence[dict[str, Any]],
    verdicts: Sequence[Verdict],
) -> None:
    """Refuse a column that no run has, and name those there are; before any is done, it may be a result to come."""
    done = [verdict for verdict in verdicts if verdict.state == "done"]
    settings = {name for wish in wishes for name in wish["settings"]}
    for name in wanted if done else ():
        if name not in settings and all(row[name] is None for row in rows):
            known = settings | set(_results(done[0]))
            raise SettingsError(
                f"hpcjobs list --columns {name}: no run here has such a setting or result; {nearest(name, known)}"
            )


def _results(verdict: Verdict) -> dict[str, Any]:
    """What a run that is done has found, where it is one value."""
    if verdict.state != "done":
        return {}
    from hpcjobs.runs.story import tell

    try:
        found = tell(RunFolder(verdict.run).result)["result"]
    except UserError:
        return {}
    return {name: value for name, value in found.items() if isinstance(value, int | float | str)}


def _wish(run: Path) -> dict[str, Any] | None:
    try:
        return RunFolder(run).read_settings()
    except UserError:
        return None


def _text(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
