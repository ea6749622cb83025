"""Which MPI library this Python loads, and how Slurm must start its ranks. MPI itself is not started."""

import re


def library() -> str:
    """Name and version of the MPI library, in its own words; RuntimeError or ImportError where none loads."""
    return _told().splitlines()[0].strip()


def srun_type(name: str | None = None) -> str:
    """What `srun --mpi=` needs for a library: pmi2 for MPICH and Intel MPI, pmix for Open MPI."""
    told = library() if name is None else name
    return "pmix" if "open mpi" in told.lower() else "pmi2"


def netmod(told: str | None = None) -> str:
    """The network module for `MPIR_CVAR_CH4_NETMOD` under pmi2: ofi where an MPICH has it beside UCX, else nothing.

    UCX's address (MPICH 5.0.2) is 4 KiB of which the unused bytes are never set, so that its length as text differs
    from start to start: now and then too long for one line of Slurm's PMI2. OFI's has some 20 bytes.
    """
    device = re.search(r"^MPICH Device:(.*)$", _told() if told is None else told, re.MULTILINE)
    return "ofi" if device and re.fullmatch(r"\s*ch4:ucx[ ,]+ofi\s*", device[1]) else ""


def _told() -> str:
    import mpi4py

    mpi4py.rc.initialize = False
    from mpi4py import MPI

    return str(MPI.Get_library_version()).rstrip("\x00")
