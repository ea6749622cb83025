"""Say why a run waits or how it failed, and which command helps."""

import json

import msgspec

from hpcjobs.cli import Parser
from hpcjobs.launch.chosen import NAMES, choose
from hpcjobs.launch.examining import examine
from hpcjobs.launch.why import Explanation
from hpcjobs.runs.wording import line


def main(argv: list[str]) -> int:
    """`hpcjobs why`: the reason in words, the last lines of the log, and a command to paste."""
    parser = Parser(prog="hpcjobs why", description=__doc__)
    parser.add_argument("runs", nargs="*", metavar="RUN", help=NAMES)
    parser.add_argument("--json", action="store_true", help="a JSON list on stdout, one object a run")
    given = parser.parse(argv)
    told = examine([run for chosen in choose(given.runs) for run in chosen.runs])
    if given.json:
        print(json.dumps(msgspec.to_builtins(told, enc_hook=str), indent=2))
        return 0
    for number, explanation in enumerate(told):
        print("\n" * bool(number) + "\n".join(text(explanation)))
    return 0


def text(told: Explanation) -> list[str]:
    """The readable form."""
    lines = [f"{told.run.name}: {told.headline}", *(f"  {detail}" for detail in told.details)]
    if told.last_lines:
        lines += [f"last lines of {told.log}:", *(f"  | {line(last)}" for last in told.last_lines)]
    if told.command:
        lines += ["to go on:", f"  {told.command}"]
    return lines
