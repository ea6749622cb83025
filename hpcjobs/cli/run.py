"""Run a job here: in this process, or on -n ranks."""

import sys
from pathlib import Path
from typing import Any

from hpcjobs import jobs, settings
from hpcjobs.cli import Parser
from hpcjobs.launch import local
from hpcjobs.launch.attempt import attempt
from hpcjobs.launch.detached import detach
from hpcjobs.launch.preparing import Place, prepare, wanted
from hpcjobs.parallel.census import refuse_singletons
from hpcjobs.parallel.communicator import SerialCommunicator, on_root
from hpcjobs.parallel.starter import world
from hpcjobs.runs import making
from hpcjobs.runs.progress import say
from hpcjobs.runs.stopping import Stop

USAGE = "usage: hpcjobs run JOB [job.toml] [--flag value ...] [-n RANKS] [--out RUNDIR]"


def main(argv: list[str]) -> int:
    """`hpcjobs run`: make or continue a run folder, then run in it."""
    if not argv or argv[0].startswith("-"):
        known = ", ".join(jobs.names())
        text = f"{USAGE}\n\njobs: {known}, or ./file.py:Name\n\n`hpcjobs run JOB --help` tells the flags of a job."
        print(text, file=sys.stdout if argv and argv[0] in ("-h", "--help") else sys.stderr)
        return 0 if argv and argv[0] in ("-h", "--help") else 2
    name = jobs.canonical(argv[0])
    job = jobs.find(name)
    given = vars(parser(name, job).parse(argv[1:]))
    toml, ranks, place, apart = given.pop("toml"), given.pop("ranks"), place_of(given), given.pop("detach")
    local.check(ranks)
    making.private(place.share)
    stop = Stop()
    communicator = world() if ranks is None else SerialCommunicator()
    if ranks is None:
        refuse_singletons(communicator)
    folder = on_root(communicator, lambda: prepare(name, job, wanted(job, toml, given), place))
    say(f"run folder {folder.path}", communicator.rank == 0)
    if apart:
        detach(folder, ranks)
        print(folder.path)
        return 0
    if ranks is not None:
        code = local.launch(folder, ranks)
    else:
        code = attempt(folder, communicator, stop)
    if code == 0 and communicator.rank == 0:
        print(folder.result)
    return code


def parser(name: str, job: Any) -> Parser:
    """The flags of `hpcjobs run` for one job."""
    made = Parser(prog=f"hpcjobs run {name}", description=(job.__doc__ or "").strip())
    made.add_argument("toml", nargs="?", type=Path, help="settings as a TOML file; flags win over it")
    add_ranks(made)
    add_place(made)
    made.add_argument(
        "--detach", action="store_true", help="run in the background; status, logs, wait and cancel work on it"
    )
    settings.add_flags(made.add_argument_group("settings"), settings.fields(job.Settings))
    return made


def add_place(made: Parser) -> None:
    """The flags that say where a new run lies and what it is called."""
    made.add_argument(
        "--out",
        type=Path,
        metavar="RUNDIR",
        help="run folder (default: ./runs/<job>-<time>-<4 hex>, or the same under $HPCJOBS_RUNS); "
        "one that exists is continued when settings and data are equal",
    )
    made.add_argument("--name", default="", help="what to call the run, in its folder's name and in the queue")
    made.add_argument("--tag", action="append", default=[], help="a word to find the run by: hpcjobs list --tag WORD")
    made.add_argument("--share", choices=("group",), default="", help="let your group read the run (default: nobody)")


def place_of(given: dict[str, Any]) -> Place:
    """What the flags of `add_place` say, taken out of what was given."""
    return Place(given.pop("out"), given.pop("name"), tuple(given.pop("tag")), given.pop("share"))


def add_ranks(made: Parser) -> None:
    """`-n`, as every verb that starts ranks has it."""
    made.add_argument("-n", "--ranks", metavar="RANKS", help="start this many ranks with mpiexec (default: one, here)")
