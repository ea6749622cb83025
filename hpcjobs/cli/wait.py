"""Wait until runs have ended, with their exit code."""

import json
from collections.abc import Sequence

import msgspec

from hpcjobs.cli import Parser
from hpcjobs.launch.watch.chosen import NAMES, choose
from hpcjobs.launch.watch.truth import Verdict
from hpcjobs.launch.watch.waiting import wait
from hpcjobs.runs.progress import say
from hpcjobs.settings import real_number

TIMED_OUT, INTERRUPTED = 124, 130


def main(argv: list[str]) -> int:
    """`hpcjobs wait`: mirrors the exit code of the run, the highest of several; Ctrl-C stops the waiting only."""
    parser = Parser(prog="hpcjobs wait", description=__doc__)
    parser.add_argument("runs", nargs="*", metavar="RUN", help=f"{NAMES} (default: last)")
    parser.add_argument(
        "--timeout", type=real_number, metavar="SECONDS", help="give up after so long, with exit code 124"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    given = parser.parse(argv)
    runs = [run for chosen in choose(given.runs) for run in chosen.runs]
    verdicts: list[Verdict] = []
    try:
        verdicts = wait(runs, given.timeout)
        going = sum(not found.ended for found in verdicts)
        code = TIMED_OUT if going else max(found.exit_code or 0 for found in verdicts)
        if going:
            say(f"stopped waiting after {given.timeout:g} s: {going} of {len(runs)} runs have not ended; they go on")
        elif code and not given.json:
            tell_ends(verdicts)
    except KeyboardInterrupt:
        say("stopped waiting; the run goes on" if len(runs) == 1 else "stopped waiting; the runs go on")
        code = INTERRUPTED
    if given.json:
        print(json.dumps({"exit_code": code, "runs": msgspec.to_builtins(verdicts, enc_hook=str)}, indent=2))
    return code


def tell_ends(verdicts: Sequence[Verdict]) -> None:
    """Say how those ended that are not done."""
    for found in verdicts:
        if found.exit_code:
            say(f"{found.run}: {found.state}: {found.reason}".rstrip(": "))
