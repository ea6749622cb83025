"""Tell the story of a run: settings, attempts, history, sizes, digest."""

import json
import math
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hpcjobs.cli import Parser
from hpcjobs.jobs import installed
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.index import find
from hpcjobs.runs.story import tell, tell_run

BLOCKS = "▁▂▃▄▅▆▇█"
SPARKS = 32


def main(argv: list[str]) -> int:
    """`hpcjobs show`: a run folder or one of its files."""
    parser = Parser(prog="hpcjobs show", description=__doc__)
    parser.add_argument(
        "what", metavar="FILE|RUNDIR", help="result, checkpoint or live file; run folder, its name, or `last`"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    given = parser.parse(argv)
    path = Path(given.what)
    story = tell(path) if path.is_file() else tell_run(RunFolder(find(given.what)))
    if given.json:
        print(json.dumps(_strict(story), indent=2))
    else:
        width = None if sys.stdout.isatty() else 1000  # paths in a pipe stay whole
        print_story(story, Console(highlight=False, markup=False, width=width))
    return 0


def print_story(story: dict[str, Any], console: Console) -> None:
    """The readable form."""
    facts = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    facts.add_column(style="bold")
    facts.add_column(overflow="fold")
    for key in ("job", "title", "run", "state", "reason", "file", "created"):
        if story.get(key):
            facts.add_row(key, str(story[key]))
    for key, value in described(story).items():
        facts.add_row(key, value)
    if story["size"]:
        facts.add_row("size", readable(story["size"]))
    if story["digest"]:
        facts.add_row("digest", story["digest"])
    measure = next((name for name in story["history"] if name != "step"), None)  # what the job logs first
    if measure is not None:
        values = story["history"][measure]
        facts.add_row("history", f"{sparkline(values)} {measure} {values[0]:.6g} to {values[-1]:.6g}")
    for entry in story["inputs"]:
        facts.add_row("input", f"{entry['name']} ({entry['rows']} rows, {entry['digest'][:16]})")
    settings = "  ".join(f"{name}={value}" for name, value in story["settings"].items() if value is not None)
    facts.add_row("settings", settings)
    console.print(facts)
    if story["attempts"]:
        attempts = Table("attempt", "ranks", "nodes", "steps", "started", "end", box=None, header_style="bold")
        for number, told in enumerate(story["attempts"], 1):
            steps = f"{told['first_step']} to {told['last_step']}"
            attempts.add_row(
                str(number), str(told["ranks"]), str(told["nodes"]), steps, told["started"], told["reason"]
            )
        console.print(attempts)


def _strict(value: Any) -> Any:
    """The same with null for what is no finite number: JSON has no NaN."""
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def described(story: dict[str, Any]) -> dict[str, str]:
    """What the job itself says of its result."""
    describe = getattr(installed(story["job"]), "describe", None) if story["result"] else None
    return dict(describe(story["result"])) if describe else {}


def sparkline(values: list[float]) -> str:
    """The course of a column in one line; long ones are thinned out, and what is no number is left out."""
    values = [value for value in values if math.isfinite(value)] or [0.0]
    shown = values if len(values) <= SPARKS else [values[i * len(values) // SPARKS] for i in range(SPARKS)]
    low, high = min(shown), max(shown)
    reach = (high - low) or 1.0
    return "".join(BLOCKS[round((value - low) / reach * (len(BLOCKS) - 1))] for value in shown)


def readable(size: int) -> str:
    """A number of bytes as people say it."""
    if size < 1000:
        return f"{size} bytes"
    for unit in ("kB", "MB", "GB"):
        size_in_unit = size / 1000 ** (("kB", "MB", "GB").index(unit) + 1)
        if size_in_unit < 1000:
            break
    return f"{size_in_unit:.3g} {unit}"
