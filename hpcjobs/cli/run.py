"""Run a job here: in this process, or on -n ranks."""

import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from hpcjobs import jobs, settings
from hpcjobs.cli import Parser
from hpcjobs.errors import RunFolderError, SettingsError
from hpcjobs.launch import local
from hpcjobs.launch.attempt import attempt
from hpcjobs.parallel.census import refuse_singletons
from hpcjobs.parallel.communicator import SerialCommunicator, on_root
from hpcjobs.parallel.starter import world
from hpcjobs.runs import folder as folders
from hpcjobs.runs.folder import RunFolder, is_blank
from hpcjobs.runs.index import remember
from hpcjobs.runs.lease import owner
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
    toml, ranks, out = given.pop("toml"), given.pop("ranks"), given.pop("out")
    local.check(ranks)
    os.umask(0o077)  # run folders are private
    stop = Stop()
    communicator = world() if ranks is None else SerialCommunicator()
    if ranks is None:
        refuse_singletons(communicator)
    path = on_root(communicator, lambda: prepare(name, job, toml, given, out))
    say(f"run folder {path}", communicator.rank == 0)
    folder = RunFolder(path)
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
    made.add_argument(
        "--out",
        type=Path,
        metavar="RUNDIR",
        help="run folder (default: ./runs/<job>-<time>-<4 hex>, or the same under $HPCJOBS_RUNS); "
        "one that exists is continued when settings and data are equal",
    )
    settings.add_flags(made.add_argument_group("settings"), settings.fields(job.Settings))
    return made


def add_ranks(made: Parser) -> None:
    """`-n`, as every verb that starts ranks has it."""
    made.add_argument("-n", "--ranks", metavar="RANKS", help="start this many ranks with mpiexec (default: one, here)")


def prepare(name: str, job: Any, toml: Path | None, flags: dict[str, Any], out: Path | None) -> Path:
    """Check settings and data, then make the run folder, or find that the one named can be continued."""
    built = settings.build(job.Settings, toml, flags)
    if hasattr(job, "check"):
        job.check(built)
    values = msgspec.to_builtins(built)
    if out is None or not os.path.lexists(out) or is_blank(out):
        return folders.create(out, name, values).path
    folder = RunFolder(out.absolute())
    if not folder.settings.exists():
        raise RunFolderError(f"{out}: exists and is not a run folder; name a new one with --out")
    wish = folder.read_settings()
    if wish["job"] != name:
        raise RunFolderError(f"{out}: is the run of a {wish['job']} job; name a new folder for this {name} job")
    old = msgspec.to_builtins(folders.settings_of(folder, job.Settings))
    found = settings.differences(old, values, job.Settings)
    if found:
        raise SettingsError(
            f"{out}: was begun with other settings ({'; '.join(found)}); "
            "continue it with the old ones, or name a new folder with --out"
        )
    enter(folder, values)
    remember(folder.path)
    return folder.path


def enter(folder: RunFolder, values: dict[str, Any]) -> None:
    """Put settings in force that may differ, unless somebody runs with the old ones at this moment."""
    busy = owner(folder) if values != folder.read_settings()["settings"] else None
    if busy:
        raise RunFolderError(
            f"{folder.path}: in use by process {busy['pid']} on {busy['host']}; change its settings when it has stopped"
        )
    folders.update(folder, values)
