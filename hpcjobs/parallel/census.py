"""The census: the first act of every run of many ranks. Who is where, and can this give the right answer?"""

import os
import platform
from dataclasses import asdict, dataclass
from typing import Any

from threadpoolctl import threadpool_info

from hpcjobs.errors import LaunchError
from hpcjobs.parallel.communicator import Communicator
from hpcjobs.parallel.starter import announced


@dataclass(frozen=True)
class Entry:
    """What one rank says of itself."""

    rank: int
    host: str
    pid: int
    cores: tuple[int, ...]
    blas: str  # kernel, e.g. "openblas SkylakeX"
    blas_threads: int
    processor: str


def myself(rank: int) -> Entry:
    """The entry of this process."""
    blas = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return Entry(
        rank=rank,
        host=platform.node(),
        pid=os.getpid(),
        cores=tuple(sorted(os.sched_getaffinity(0))),
        blas=" ".join(sorted({f"{pool['internal_api']} {pool.get('architecture', '')}".strip() for pool in blas})),
        blas_threads=max((pool["num_threads"] for pool in blas), default=1),
        processor=processor(),
    )


def processor() -> str:
    """The model name of the CPU, as the kernel gives it."""
    try:
        with open("/proc/cpuinfo") as lines:  # noqa: PTH123 (a device, read line by line)
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def take_census(communicator: Communicator) -> list[dict[str, Any]]:
    """Every rank's entry, or a LaunchError with the fix in it. Collective."""
    refuse_singletons(communicator)
    entries: list[Entry] = communicator.allgather_object(myself(communicator.rank))
    for host in sorted({entry.host for entry in entries}):
        here = [entry for entry in entries if entry.host == host]
        cores = {core for entry in here for core in entry.cores}
        threads = max(entry.blas_threads for entry in here)
        if threads > 1 and threads * len(here) > len(cores):
            raise LaunchError(
                f"{len(here)} ranks with {threads} BLAS threads each on {host}, which gives them {len(cores)} cores: "
                "they would run many times slower; unset OPENBLAS_NUM_THREADS, OMP_NUM_THREADS and MKL_NUM_THREADS "
                "(hpcjobs then takes 1), or start fewer ranks"
            )
    return [asdict(entry) for entry in entries]


def refuse_singletons(communicator: Communicator) -> None:
    """Stop when a launcher announced many ranks and MPI sees one: each would do, and write, all the work."""
    start = announced()
    if start is None or start.size == 1 or communicator.size > 1:
        return
    raise LaunchError(
        f"{start.by} started {start.size} processes, but each sees an MPI world of 1: launcher and MPI library do not "
        "match. Under Slurm name the interface: `srun --mpi=pmi2` for MPICH and Intel MPI, `srun --mpi=pmix` for Open "
        "MPI (`srun --mpi=list` shows what there is); else use the mpiexec that belongs to the MPI library"
    )
