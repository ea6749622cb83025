"""What a login node can tell of a site without a job: each finding of `hpcjobs setup`."""

import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hpcjobs.launch import child
from hpcjobs.launch.slurm.command import ask
from hpcjobs.launch.slurm.partitions import Partition
from hpcjobs.parallel.library import srun_type
from hpcjobs.runs.process import home

LOAD_S = 60.0
ASK_S = 20.0
# Names that sites give their scratch space; what is none of a cluster's is not there.
SCRATCH_VARIABLES = ("SCRATCH", "WORK", "WORKDIR", "PROJECT", "PSCRATCH", "SCRATCHDIR")
SCRATCH_FOLDERS = ("/scratch/{user}", "/lustre/{user}", "/gpfs/{user}", "/scratch")
LIBRARY = "from hpcjobs.parallel.library import library; print(library())"


@dataclass(frozen=True)
class Library:
    """The MPI library of this Python; `name` is empty where none loads."""

    name: str
    problem: str = ""


@dataclass(frozen=True)
class Scratch:
    """A folder for large files."""

    path: str
    free_gib: int


def mpi_library() -> Library:
    """The MPI library that this Python loads, looked at from a process of its own: a broken one may crash."""
    answer = child.python(["-c", LIBRARY], LOAD_S)
    if answer.code is None:
        return Library("", f"loading it took more than {LOAD_S:g} s")
    if answer.code == 0 and answer.out.strip():
        return Library(answer.out.strip().splitlines()[-1])
    return Library("", answer.problem)


def srun_types() -> list[str]:
    """What `srun --mpi=` takes here, besides none."""
    answer = ask(["srun", "--mpi=list"], ASK_S)
    return parse_types(answer.out + answer.err) if answer.code == 0 else []


def parse_types(text: str) -> list[str]:
    """The names in the answer to `srun --mpi=list`, of any version of Slurm."""
    listed = []
    for line in text.splitlines():
        told = line.removeprefix("srun:").strip()
        if told.endswith("...") or (" " in told and ":" not in told):
            continue
        listed += re.findall(r"[a-z][a-z0-9_]*", told.rpartition(":")[2])
    return sorted(set(listed) - {"none"})


def accounts(user: str) -> list[str]:
    """The accounts that a user may charge; none where the site keeps no accounting."""
    answer = ask(["sacctmgr", "--noheader", "--parsable2", "show", "assoc", f"user={user}", "format=Account"], ASK_S)
    if answer.code != 0:
        return []
    names = (line.strip() for line in answer.out.splitlines())
    return sorted({name for name in names if re.fullmatch(r"[\w.@+-]+", name)})


def gpu_types(known: Sequence[Partition]) -> list[str]:
    """Every GPU of the cluster: partition, type and number on a node."""
    return [
        f"{partition.name}: {count} {kind or 'GPUs'} on a node"
        for partition in known
        for kind, count in partition.gpus.items()
    ]


def scratch(user: str) -> list[Scratch]:
    """Folders outside home that this user can write."""
    places = [os.environ[name] for name in SCRATCH_VARIABLES if os.environ.get(name)]
    places += [folder.format(user=user) for folder in SCRATCH_FOLDERS]
    found: dict[Path, Scratch] = {}
    for place in places:
        path = Path(place)
        if not path.is_absolute() or not path.is_dir() or not os.access(path, os.W_OK) or path == home():
            continue
        disk = os.statvfs(path)
        found.setdefault(path.resolve(), Scratch(place, disk.f_bavail * disk.f_frsize // 2**30))
    return list(found.values())


def modules() -> list[str]:
    """The environment modules that are loaded now, and that jobs will need as well."""
    return [name for name in os.environ.get("LOADEDMODULES", "").split(":") if name]


def candidates(library: Library, types: Sequence[str]) -> list[str]:
    """Ways to start the ranks, the likeliest first."""
    first = srun_type(library.name)
    wanted = [first, *(name for name in ("pmi2", "pmix") if name != first), *sorted(set(types) - {"pmi2", "pmix"})]
    beside = Path(sys.executable).parent / "mpiexec"
    have = beside.exists() or shutil.which("mpiexec") is not None
    return [name for name in wanted if name in types and name.startswith("pmi")] + (["mpiexec"] if have else [])
