"""Wait until runs have ended, with their exit code."""

import sys

from hpcjobs.cli import Parser
from hpcjobs.launch.chosen import NAMES, choose
from hpcjobs.launch.waiting import wait
from hpcjobs.runs.progress import say
from hpcjobs.settings import real_number

TIMED_OUT, INTERRUPTED = 124, 130


def main(argv: list[str]) -> int:
    """`hpcjobs wait`: mirrors the exit code of the run, the highest of several; Ctrl-C stops the waiting only."""
    parser = Parser(prog="hpcjobs wait", description=__doc__)
    parser.add_argument("runs", nargs="*", metavar="RUN", help=NAMES)
    parser.add_argument(
        "--timeout", type=real_number, metavar="SECONDS", help="give up after so long, with exit code 124"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    given = parser.parse(argv)
    runs = [run for chosen in choose(given.runs) for run in chosen.runs]
    try:
        code = wait(runs, given.timeout)
    except TimeoutError as error:
        say(f"stopped waiting: {error}")
        code = TIMED_OUT
    except KeyboardInterrupt:
        say("stopped waiting; the run goes on")
        code = INTERRUPTED
    if given.json:
        sys.stdout.write(f'{{"exit_code": {code}, "runs": {len(runs)}}}\n')
    return code
