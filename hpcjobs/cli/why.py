"""Say why a run waits or how it failed, and which command helps."""

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec

from hpcjobs.cli import Parser
from hpcjobs.launch.watch.chosen import NAMES, Chosen, choose
from hpcjobs.launch.watch.examining import examine
from hpcjobs.launch.watch.truth import look
from hpcjobs.launch.watch.why import Explanation
from hpcjobs.runs.wording import line


def main(argv: list[str]) -> int:
    """`hpcjobs why`: the reason in words, the last lines of the log, and a command to paste."""
    parser = Parser(prog="hpcjobs why", description=__doc__)
    parser.add_argument("runs", nargs="*", metavar="RUN", help=f"{NAMES} (default: last)")
    parser.add_argument("--json", action="store_true", help="a JSON list on stdout, one object a run")
    given = parser.parse(argv)
    alike = {run: tasks for one in choose(given.runs) for run, tasks in representatives(one).items()}
    told = examine(list(alike))
    if given.json:
        same = [{"same": [str(task) for task in alike[one.run]]} for one in told]
        found = zip(msgspec.to_builtins(told, enc_hook=str), same, strict=True)
        print(json.dumps([one | others for one, others in found], indent=2))
        return 0
    for number, explanation in enumerate(told):
        print("\n" * bool(number) + "\n".join(text(explanation, alike[explanation.run])))
    return 0


def representatives(chosen: Chosen) -> dict[Path, list[Path]]:
    """The runs to explain, and which others are in the same state for the same reason: tasks of a sweep mostly are."""
    if not chosen.tasks:
        return {chosen.path: []}
    found: dict[tuple[str, str], list[Path]] = {}
    for verdict in look(chosen.tasks):
        found.setdefault((verdict.state, verdict.reason), []).append(verdict.run)
    return {first: others for first, *others in found.values()}


def text(told: Explanation, same: Sequence[Path]) -> list[str]:
    """The readable form."""
    lines = [f"{told.run.name}: {line(told.headline)}", *(f"  {line(detail)}" for detail in told.details)]
    if same:
        some = ", ".join(run.name for run in same[:3])
        lines.append(f"  the same holds for {len(same)} more: {some}{' ...' if same[3:] else ''}")
    if told.last_lines:
        lines += [f"last lines of {told.log}:", *(f"  | {line(last)}" for last in told.last_lines)]
    if told.command:
        lines += ["to go on:", f"  {told.command}"]
    return lines
