"""Continue a run from its newest checkpoint; a finished one stays as it is."""

from typing import Any

from hpcjobs import settings
from hpcjobs.cli import Parser
from hpcjobs.cli.run import add_ranks
from hpcjobs.errors import SettingsError
from hpcjobs.jobs import find as find_job
from hpcjobs.launch import local, sweep
from hpcjobs.launch.attempt import attempt
from hpcjobs.launch.preparing import extend, extendable
from hpcjobs.parallel.census import refuse_singletons
from hpcjobs.parallel.communicator import SerialCommunicator, on_root
from hpcjobs.parallel.starter import world
from hpcjobs.runs import making
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.index import find, remember
from hpcjobs.runs.process import launched, slurm_job
from hpcjobs.runs.stopping import Stop


def main(argv: list[str]) -> int:
    """`hpcjobs resume`: go on in a run folder, on any number of ranks."""
    parser = Parser(
        prog="hpcjobs resume",
        usage="hpcjobs resume RUNDIR [-n RANKS] [--flag value ...]",
        description=__doc__,
        epilog="Flags: the settings of the job that may grow, such as --max-iterations. With a flag of Slurm's, "
        "such as --mem or --time, the run is sent to Slurm again with it: see hpcjobs submit.",
    )
    parser.add_argument("run", metavar="RUNDIR", help="run folder, `last`, or a unique beginning of its name")
    add_ranks(parser)
    if argv and argv[0].startswith("-") and argv[0] not in ("-h", "--help"):
        raise SettingsError(f"hpcjobs resume: name the run first: hpcjobs resume RUNDIR {' '.join(argv[:2])} ...")
    known, extensions = parser.parse_known_args(argv)
    if any(word.startswith("--") for word in extensions) and not launched():
        from hpcjobs.cli import _delivery, submit

        if _delivery.slurm_flags() & {word.partition("=")[0] for word in extensions}:
            return submit.again(find(known.run), extensions)
    local.check(known.ranks)
    making.private()
    stop = Stop()
    communicator = world() if known.ranks is None else SerialCommunicator()
    if known.ranks is None:
        refuse_singletons(communicator)
    folder = RunFolder(on_root(communicator, lambda: prepare(known.run, extensions)))
    if known.ranks is not None:
        code = local.launch(folder, known.ranks)
    else:
        code = attempt(folder, communicator, stop)
    if code == 0 and communicator.rank == 0 and not launched():
        print(folder.result)
    return code


def prepare(name: str, extensions: list[str]) -> Any:
    """Find the folder and enter the settings that may grow."""
    folder = RunFolder(find(name))
    wish = folder.read_settings()
    making.private(wish["share"])
    job = find_job(folder.job(), folder.code)
    parser = Parser(prog="hpcjobs resume", description=f"Settings of a {wish['job']} run that may grow.")
    settings.add_flags(parser, extendable(job))
    flags = vars(parser.parse(extensions))
    if not slurm_job():
        sweep.refuse_queued(folder.path)
        remember(folder.path)  # `last` is what the user named last, not what a job has started since
    extend(folder, job, flags)
    return folder.path
