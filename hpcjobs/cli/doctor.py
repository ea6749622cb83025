"""Look at this machine, check by check: what is there, what is wrong, and the command that mends it."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from hpcjobs.cli import Parser
from hpcjobs.errors import SettingsError
from hpcjobs.launch import local
from hpcjobs.launch.doctor._examine import examine, worst
from hpcjobs.launch.doctor._finding import PROBLEM, Finding, Machine
from hpcjobs.runs.making import usual_folder
from hpcjobs.runs.progress import say
from hpcjobs.runs.wording import line

EPILOG = "Nothing is changed, and nothing is left behind. Exit code 1 when something is a problem, else 0."


def main(argv: list[str]) -> int:
    """`hpcjobs doctor`: a line a check, as it ends."""
    parser = Parser(prog="hpcjobs doctor", description=__doc__, epilog=EPILOG)
    parser.add_argument("-n", dest="ranks", metavar="RANKS", help="ranks on this machine (default: 1)")
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", help="where runs shall lie (default: $HPCJOBS_RUNS, else ./runs)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    given = parser.parse(argv)
    local.check(given.ranks)
    machine = Machine(folder=chosen(given.folder), ranks=int(given.ranks or 1))
    found = []
    for name, finding in examine(machine):
        found.append((name, finding))
        if not given.json:
            print(told(name, finding), flush=True)
    verdict = worst([finding for _, finding in found])
    if given.json:
        print(
            json.dumps({"verdict": verdict, "checks": [{"name": name} | asdict(one) for name, one in found]}, indent=2)
        )
    else:
        say(summary([finding for _, finding in found]))
    return 1 if verdict == PROBLEM else 0


def chosen(folder: Path | None) -> Path:
    """The folder that is named, else the nearest that is there to the one where runs would lie."""
    if folder is None:
        usual = usual_folder().absolute()
        return next(path for path in (usual, *usual.parents) if path.is_dir())
    if not folder.is_dir():
        raise SettingsError(f"--folder {folder}: expected a folder that is there; make it first: mkdir -p {folder}")
    return folder.absolute()


def told(name: str, finding: Finding) -> str:
    """A check on one line."""
    command = finding.fix.encode(errors="backslashreplace").decode()  # the name of a folder may be no text
    fix = f"; fix: {command}" if command else ""
    return f"{finding.verdict:<9} {name:<17} {line(finding.found)}{fix}"


def summary(found: Sequence[Finding]) -> str:
    """How many checks came to which verdict."""
    return ", ".join(f"{count} {verdict}" for verdict, count in Counter(one.verdict for one in found).items())
