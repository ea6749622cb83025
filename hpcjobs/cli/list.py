"""List your runs: state, age, progress, and any setting or result."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hpcjobs.cli import Parser
from hpcjobs.errors import UserError
from hpcjobs.launch.chosen import everything
from hpcjobs.launch.truth import Verdict, look
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.reached import Line, line_of
from hpcjobs.runs.wording import columns, rate

TITLES = ("run", "job", "state", "age", "progress", "rate", "left")
SORTS = ("age", "state", "name", "progress")


def main(argv: list[str]) -> int:
    """`hpcjobs list`: every run of yours that is still there, the newest first; each task of a sweep is a run."""
    parser = Parser(prog="hpcjobs list", description=__doc__)
    parser.add_argument("--tag", action="append", default=[], help="only runs that have this tag; may be given again")
    parser.add_argument("--state", help="only runs in this state, such as failed or running")
    parser.add_argument("--sort", choices=SORTS, default="age", help="(default: age, the newest first)")
    parser.add_argument(
        "--columns", default="", metavar="A,B,...", help="settings or results, such as clusters,inertia"
    )
    parser.add_argument("--json", action="store_true", help="a JSON list on stdout, one object a run")
    given = parser.parse(argv)
    wanted = [name.strip().replace("-", "_") for name in given.columns.split(",") if name.strip()]
    wishes = {run: wish for one in everything() for run in one.runs if (wish := _wish(run)) is not None}
    runs = [run for run, wish in wishes.items() if set(given.tag) <= set(wish["tags"])]
    rows = [facts(verdict, wishes[verdict.run], wanted) for verdict in look(runs)]
    if given.state:
        rows = [row for row in rows if row["state"] == given.state]
    if given.sort != "age":  # which they have already
        rows.sort(key=lambda row: str(row[given.sort]))
    if given.json:
        print(json.dumps(rows, indent=2))
        return 0
    titles = (*TITLES, *wanted)
    print("\n".join(columns([titles, *([_text(row[title]) for title in titles] for row in rows)])))
    return 0


def facts(verdict: Verdict, wish: dict[str, Any], wanted: Sequence[str]) -> dict[str, Any]:
    """One run, as the table and JSON tell of it."""
    line = line_of(verdict.run) if verdict.state != "done" else Line()
    run = verdict.run
    name = f"{run.parent.name}/{run.name}" if (run.parent / "sweep.json").exists() else run.name
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
        "rate": rate(line.rate) if not verdict.ended else "",
        "left": line.left if not verdict.ended else "",
        "digest": verdict.digest,
    }
    return row | {name: _value(name, wish, verdict) for name in wanted}


def _value(name: str, wish: dict[str, Any], verdict: Verdict) -> Any:
    """A setting, else a result of one value; None where there is neither."""
    if name in wish["settings"]:
        return wish["settings"][name]
    if verdict.state != "done":
        return None
    from hpcjobs.runs.story import tell

    try:
        found = tell(RunFolder(verdict.run).result)["result"].get(name)
    except UserError:
        return None
    return found if isinstance(found, int | float | str) else None


def _wish(run: Path) -> dict[str, Any] | None:
    try:
        return RunFolder(run).read_settings()
    except UserError:
        return None


def _text(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
