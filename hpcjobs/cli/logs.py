"""Show what a run has said, and follow it while it goes."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from hpcjobs.cli import Parser
from hpcjobs.errors import RunFolderError
from hpcjobs.launch.slurm.cache import Cache
from hpcjobs.launch.watch.chosen import NAMES, choose
from hpcjobs.launch.watch.truth import Verdict, look
from hpcjobs.launch.watch.watching import watch
from hpcjobs.runs.logfile import Followed, logs, start_of_tail, tail
from hpcjobs.runs.progress import say
from hpcjobs.settings import whole_number

INTERRUPTED = 130
LINES = 100


def main(argv: list[str]) -> int:
    """`hpcjobs logs`: the newest log; with -f from before the start, through requeues, to the end."""
    parser = Parser(prog="hpcjobs logs", description=__doc__)
    parser.add_argument("run", nargs="?", default="last", metavar="RUN", help=f"{NAMES} (default: last)")
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on until the run has ended; Ctrl-C stops watching"
    )
    parser.add_argument(
        "--lines", type=whole_number, default=LINES, metavar="N", help=f"lines to begin with (default: {LINES})"
    )
    parser.add_argument("--json", action="store_true", help="the paths of the logs as a JSON list, the newest last")
    given = parser.parse(argv)
    runs = [run for chosen in choose([given.run]) for run in chosen.runs]
    if len(runs) > 1:
        raise RunFolderError(f"{given.run} is a sweep of {len(runs)} tasks; name one of them, such as {runs[0]}")
    if given.json:
        print(json.dumps([str(path) for path in logs(runs[0])]))
        return 0
    if not given.follow:
        return show(runs[0], given.lines)
    try:
        follow(runs[0], given.lines)
    except KeyboardInterrupt:
        say("stopped watching; the run goes on")
        return INTERRUPTED
    return 0


def show(run: Path, lines: int) -> int:
    """The end of the newest log; the older ones are named."""
    found = logs(run)
    if not found:
        (verdict,) = look([run])
        if verdict.ended and not verdict.job_id:
            raise RunFolderError(f"{run}: kept no log: it ran in a terminal; it is {in_words(verdict)}")
        raise RunFolderError(f"{run}: has no log yet; it is {in_words(verdict)}")
    if found[1:]:
        say(f"{found[-1].name}, the newest of {len(found)}: {', '.join(path.name for path in found[:-1])} before it")
    for text in tail(found[-1], lines):
        print(text)
    return 0


def follow(run: Path, lines: int) -> None:
    """Print what is new in the logs until the run has ended, saying so whenever its state changes."""
    followed: dict[Path, Followed] = {}
    said = ""
    for verdict in (found for (found,) in watch([run], Cache.open())):
        write_news(followed, logs(run), lines)
        if verdict.state == "not started":
            raise RunFolderError(f"{run}: was never started: hpcjobs submit {run}, or hpcjobs resume {run}, starts it")
        state = in_words(verdict)
        if state != said and (verdict.ended or verdict.state != "running"):
            job = f"job {verdict.job_id}" if verdict.job_id else "the run"
            say(f"waiting for {job}: {state}" if not verdict.ended else f"{job} has ended: {state}")
        said = state


def write_news(followed: dict[Path, Followed], found: Sequence[Path], lines: int) -> None:
    """Write what is new in every log; of those that were there at first only the end of the newest."""
    first = not followed
    for path in found:
        if path not in followed:
            old = first and path != found[-1]
            start = path.stat().st_size if old else start_of_tail(path, lines) if first else 0
            followed[path] = Followed(path, start)
        for piece in followed[path].news():
            sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def in_words(verdict: Verdict) -> str:
    """State and reason in one."""
    return f"{verdict.state}: {verdict.reason}".rstrip(": ")
