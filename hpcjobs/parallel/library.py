"""Which MPI library this Python loads, and how Slurm must start its ranks. MPI itself is not started."""


def library() -> str:
    """Name and version of the MPI library, in its own words; RuntimeError or ImportError where none loads."""
    import mpi4py

    mpi4py.rc.initialize = False
    from mpi4py import MPI

    return str(MPI.Get_library_version()).splitlines()[0].strip().rstrip("\x00")


def srun_type(name: str | None = None) -> str:
    """What `srun --mpi=` needs for a library: pmi2 for MPICH and Intel MPI, pmix for Open MPI."""
    told = library() if name is None else name
    return "pmix" if "open mpi" in told.lower() else "pmi2"
