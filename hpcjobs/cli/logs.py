"""Show what a run has said, and follow it while it goes."""

import sys
import time
from pathlib import Path

from hpcjobs.cli import Parser
from hpcjobs.errors import RunFolderError
from hpcjobs.launch.chosen import NAMES, choose
from hpcjobs.launch.slurm.cache import Cache
from hpcjobs.launch.truth import look
from hpcjobs.runs.logfile import Followed, logs, tail
from hpcjobs.runs.progress import say
from hpcjobs.settings import whole_number

INTERRUPTED = 130
LOOK_S = 0.5
LINES = 100


def main(argv: list[str]) -> int:
    """`hpcjobs logs`: the newest log; with -f from before the start, through requeues, to the end."""
    parser = Parser(prog="hpcjobs logs", description=__doc__)
    parser.add_argument("run", nargs="?", default="last", metavar="RUN", help=NAMES)
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on until the run has ended; Ctrl-C stops watching"
    )
    parser.add_argument("--lines", type=whole_number, default=LINES, help=f"lines to begin with (default: {LINES})")
    parser.add_argument("--json", action="store_true", help="the names of the logs as a JSON list")
    given = parser.parse(argv)
    runs = [run for chosen in choose([given.run]) for run in chosen.runs]
    if len(runs) > 1:
        raise RunFolderError(f"{given.run} is a sweep of {len(runs)} tasks; name one, such as {runs[0]}")
    run = runs[0]
    if given.json:
        import json

        print(json.dumps([str(path) for path in logs(run)]))
        return 0
    if not given.follow:
        return show(run, given.lines)
    try:
        follow(run, given.lines)
    except KeyboardInterrupt:
        say("stopped watching; the run goes on")
        return INTERRUPTED
    return 0


def show(run: Path, lines: int) -> int:
    """The end of the newest log."""
    found = logs(run)
    if not found:
        (verdict,) = look([run])
        raise RunFolderError(f"{run}: has no log yet: {verdict.state} {verdict.reason}".rstrip())
    for text in tail(found[-1], lines):
        print(text)
    return 0


def follow(run: Path, lines: int) -> None:
    """Print what is new in the newest log until the run has ended, saying so whenever its state changes."""
    cache, said, at, followed = Cache.open(), "", None, None
    while True:
        (verdict,) = look([run], cache, watching=True)
        found = logs(run)
        if found and found[-1] != at:
            at = found[-1]
            begin = (
                at.stat().st_size - sum(len(text.encode()) + 1 for text in tail(at, lines)) if followed is None else 0
            )
            followed = Followed(at, max(0, begin))
        for piece in followed.news() if followed else []:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        state = f"{verdict.state}: {verdict.reason}".rstrip(": ")
        if state != said and (verdict.ended or verdict.state != "running"):
            say(f"job {verdict.job_id} is {state}" if verdict.job_id else state)
        said = state
        if verdict.ended or verdict.state == "not started":
            return
        time.sleep(LOOK_S)
