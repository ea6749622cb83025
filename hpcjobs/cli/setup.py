"""Find out, once on a login node, how this cluster starts ranks, and write it down."""

import difflib
import getpass
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hpcjobs.cli import Parser
from hpcjobs.data.publish import publish_bytes
from hpcjobs.errors import DataError, LaunchError, SettingsError, nearest
from hpcjobs.launch import site
from hpcjobs.launch.setup import drafts, probing, trial
from hpcjobs.launch.setup.drafts import Findings
from hpcjobs.launch.setup.trial import Trial
from hpcjobs.launch.slurm import command, limits
from hpcjobs.launch.slurm.limits import Partition
from hpcjobs.runs.process import home, state_folder
from hpcjobs.runs.progress import say
from hpcjobs.settings import real_number

LONGEST_WAIT_S = 86400
TRIAL_MINUTES = 5  # as the header of its script asks
EPILOG = """Nothing is changed but site.toml and site.sh in ~/.config/hpcjobs ($XDG_CONFIG_HOME/hpcjobs where that is
set), and those only if they are not there (or with --force). The trial job has two ranks, ends within minutes, and
removes what it wrote."""


def main(argv: list[str]) -> int:
    """`hpcjobs setup`: look, try, write, tell."""
    parser = Parser(prog="hpcjobs setup", description=__doc__, epilog=EPILOG)
    parser.add_argument("--yes", action="store_true", help="do not ask before the trial job and before writing")
    parser.add_argument("--no-probe", dest="probe", action="store_false", help="submit no trial job")
    parser.add_argument("--probe", dest="probe", action="store_true", help="submit a trial job of two ranks (default)")
    parser.add_argument("--partition", help="partition for the trial job, kept as the default of your jobs")
    parser.add_argument("--account", help="account for the trial job, kept as the default of your jobs")
    parser.add_argument(
        "--folder", type=Path, help="folder that the nodes see, for the trial job (default: in your home)"
    )
    parser.add_argument(
        "--wait",
        type=real_number,
        default=300.0,
        metavar="SECONDS",
        help="how long to wait for the trial job (default: 300)",
    )
    parser.add_argument("--force", action="store_true", help="write site.toml and site.sh over those that are there")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    given = parser.parse(argv)
    if not 0 < given.wait <= LONGEST_WAIT_S:
        raise SettingsError(f"--wait {given.wait:g}: expected a number of seconds, at most {LONGEST_WAIT_S}")
    command.require()
    os.umask(0o077)
    found, setup, toml = look(given)
    if not given.json:
        print("\n".join(drafts.report(found)))
    if not found.mpi:
        if given.json:
            print(json.dumps(asdict(found), indent=2))
        raise LaunchError("nothing was written, as no way to start ranks was found: " + "; ".join(found.problems))
    written, kept = write({site.TOML: toml, site.SETUP: setup}, given.force, given.yes or given.json)
    if given.json:
        print(json.dumps(asdict(found) | {"written": written, "kept": kept}, indent=2))
    elif written:
        print("\n".join(["", *(f"written: {path}" for path in written)]))
    return 0


def look(given: Any) -> tuple[Findings, bytes, bytes]:
    """What there is, what a job says of it, and the files that follow from it."""
    user = getpass.getuser()
    known = limits.partitions(fresh=True)
    names = [partition.name for partition in known]
    if given.partition and known and given.partition not in names:
        raise SettingsError(
            f"--partition {given.partition}: there is no such partition; {nearest(given.partition, names)}"
        )
    library = probing.mpi_library()
    types = probing.srun_types()
    accounts = probing.accounts(user)
    scratch = probing.scratch(user)
    modules = probing.modules()
    ways = probing.candidates(library, types) if library.name else []
    tried: Trial | None = None
    if given.probe and ways and agreed("submit a trial job of two ranks", given.yes or given.json):
        folder = given.folder.absolute() if given.folder else state_folder()
        if folder is None:
            raise DataError("there is no home folder to try in: name a folder that the nodes see with --folder")
        places = [user_cache(), *(Path(place.path) for place in scratch)]
        tried = trial.run(
            folder,
            drafts.site_sh(sys.executable, "", modules, None),
            ways,
            places,
            options(given, known),
            limit_s=given.wait,
            tell=say,
        )
    mpi = tried.way if tried else next(iter(ways), "")
    found = Findings(
        python=sys.executable,
        mpi_library=library.name,
        mpi_problem=library.problem,
        srun_types=types,
        mpi=mpi,
        tried=tried is not None,
        partitions=[described(partition) for partition in known],
        accounts=accounts,
        gpus=probing.gpu_types(known),
        scratch=[asdict(place) for place in scratch],
        modules=modules,
        trial=tried,
        problems=drafts.problems(library, types, known, tried),
        written=[],
        kept=[],
    )
    cache = drafts.numba_cache(tried, str(user_cache())) if tried else None
    return (
        found,
        drafts.site_sh(sys.executable, mpi, modules, cache),
        drafts.site_toml(mpi, given.partition, given.account, names, accounts),
    )


def options(given: Any, known: list[Partition]) -> list[str]:
    """How sbatch is asked for two ranks: on two nodes where there are two, as that tells the most."""
    where = next((one for one in known if (one.name == given.partition if given.partition else one.default)), None)
    two = where is not None and where.nodes > 1 and (where.largest_job is None or where.largest_job > 1)
    found = ["--nodes=2", "--ntasks-per-node=1"] if two else ["--nodes=1", "--ntasks=2"]
    if where is not None and where.minutes is not None and where.minutes < TRIAL_MINUTES:
        found.append(f"--time={max(1, int(where.minutes))}")
    found += [f"--partition={given.partition}"] if given.partition else []
    return found + ([f"--account={given.account}"] if given.account else [])


def described(partition: Partition) -> dict[str, Any]:
    """A partition in the JSON."""
    return {
        name: getattr(partition, name)
        for name in ("name", "default", "state", "minutes", "nodes", "cpus", "memory_mib", "gpus", "features")
    }


def user_cache() -> Path:
    """Where compiled code is kept when nothing else is said."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else (home() or Path("/nonexistent")) / ".cache") / "hpcjobs"


def write(files: dict[str, bytes], force: bool, yes: bool) -> tuple[list[str], list[str]]:
    """Publish the files in the user's folder; what is there and differs is shown and kept, unless forced."""
    folder = site.config_folders()[0]
    written, kept = [], []
    for name, content in files.items():
        path = folder / name
        old = path.read_bytes() if path.exists() else None
        if old == content:
            kept.append(str(path))
            continue
        if old is not None:
            before, after = (text.decode(errors="replace").splitlines() for text in (old, content))
            change = difflib.unified_diff(before, after, str(path), "found now", lineterm="")
            say("\n".join([f"{path} is there and differs:", *change]))
            if not force:
                say(f"{path} is kept; --force writes what was found now")
                kept.append(str(path))
                continue
        if agreed(f"write {path}", yes):
            try:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            except OSError as error:
                raise DataError(f"{folder}: cannot be made: {error.strerror}; make it, then try again") from None
            publish_bytes(path, content)
            written.append(str(path))
    return written, kept


def agreed(what: str, yes: bool) -> bool:
    """Whether the user wants it; asked on a terminal only."""
    if yes or not sys.stdin.isatty():
        return True
    print(f"hpcjobs: {what}? [Y/n] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("", "y", "yes")
