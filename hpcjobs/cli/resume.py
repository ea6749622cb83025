"""Continue a run from its newest checkpoint; a finished one stays as it is."""

import os
from typing import Any

import msgspec

from hpcjobs import settings
from hpcjobs.cli import Parser
from hpcjobs.cli.run import add_ranks
from hpcjobs.errors import SettingsError
from hpcjobs.jobs import find as find_job
from hpcjobs.launch import local
from hpcjobs.launch.attempt import attempt
from hpcjobs.parallel.census import refuse_singletons
from hpcjobs.parallel.communicator import on_root
from hpcjobs.parallel.starter import announced, world
from hpcjobs.runs import folder as folders
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.stopping import Stop


def main(argv: list[str]) -> int:
    """`hpcjobs resume`: go on in a run folder, on any number of ranks."""
    parser = Parser(prog="hpcjobs resume", description=__doc__)
    parser.add_argument("run", metavar="RUNDIR", help="run folder, `last`, or a unique beginning of its name")
    add_ranks(parser)
    known, extensions = parser.parse_known_args(argv)
    local.check(known.ranks)
    os.umask(0o077)  # run folders are private
    stop = Stop()
    communicator = world()
    refuse_singletons(communicator)
    folder = RunFolder(on_root(communicator, lambda: prepare(known.run, extensions)))
    if known.ranks is not None and announced() is None:
        code = local.launch(folder, known.ranks)
    else:
        code = attempt(folder, communicator, stop)
    if code == 0 and communicator.rank == 0 and not local.launched():
        print(folder.result)
    return code


def prepare(name: str, extensions: list[str]) -> Any:
    """Find the folder and enter the settings that may grow."""
    folder = folders.find(name)
    wish = folder.read_settings()
    job = find_job(wish["job"])
    declared = {
        key: value
        for key, value in settings.fields(job.Settings).items()
        if (value[1].extra or {}).get("extendable") or (value[1].extra or {}).get("volatile")
    }
    parser = Parser(prog="hpcjobs resume", description=f"Settings of a {wish['job']} run that may grow.")
    settings.add_flags(parser, declared)
    flags = vars(parser.parse(extensions))
    if not flags:
        return folder.path
    old = wish["settings"]
    new = msgspec.to_builtins(settings.build(job.Settings, None, old | flags))
    found = settings.differences(old, new, job.Settings)
    if found:
        raise SettingsError(f"{folder.path}: a run can grow, not change: {'; '.join(found)}")
    folders.update(folder, new)
    return folder.path
