"""Which launcher started this process, read from the environment before any MPI library is loaded."""

import os
from dataclasses import dataclass

from hpcjobs.errors import LaunchError
from hpcjobs.parallel.communicator import Communicator, SerialCommunicator


@dataclass(frozen=True)
class Announced:
    """What the innermost starter says of this process."""

    by: str
    size: int
    rank: int


def announced() -> Announced | None:
    """The size and rank that a launcher announced; None for a plain process.

    Never `SLURM_NTASKS`: under `mpiexec` in a batch script it counts something else.
    """
    env = os.environ
    for by, size, rank in (
        ("Open MPI's mpirun", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
        ("mpiexec or srun with PMI", "PMI_SIZE", "PMI_RANK"),
        ("srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),
    ):
        if by == "srun" and not env.get("SLURM_STEP_ID", "").isdigit():
            continue  # in the batch script itself, not in a numbered step
        if by == "srun" and int(env["SLURM_STEP_ID"]) >= 2**32 - 16:
            continue  # Slurm's numbers for batch, extern and interactive steps
        if env.get(size, "").isdigit():
            number = env.get(rank, "")
            return Announced(by, int(env[size]), int(number) if number.isdigit() else 0)
    return None


def world() -> Communicator:
    """The communicator of all ranks, or the serial one when nothing started us under MPI or no MPI library loads."""
    start = announced()
    if start is None:
        return SerialCommunicator()
    try:
        from hpcjobs.parallel.mpi import MPICommunicator

        return MPICommunicator()
    except (ImportError, RuntimeError) as error:
        if start.size == 1:
            return SerialCommunicator()
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise LaunchError(
            f"started as rank {start.rank} of {start.size} by {start.by}, but no MPI library loads ({reason}); "
            "load the site's MPI module, or install one: pip install 'hpcjobs[local]'"
        ) from None
