"""What a launcher announces in the environment, and the communicator that follows from it."""

import os
import subprocess
import sys

import pytest

from hpcjobs.parallel.communicator import SerialCommunicator
from hpcjobs.parallel.starter import Announced, announced, world

SRUN = {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "5", "SLURM_NTASKS": "64"}
PMI = {"PMI_SIZE": "4", "PMI_RANK": "3"}
OPEN_MPI = {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1"}
BATCH_SCRIPT = {"SLURM_JOB_ID": "17", "SLURM_NTASKS": "64", "SLURM_PROCID": "0", "SLURM_NPROCS": "64"}
NO_LIBRARY = {"MPI4PY_LIBMPI": "/nowhere/libmpi.so"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        (SRUN, Announced("srun", 8, 5)),
        (PMI, Announced("mpiexec or srun with PMI", 4, 3)),
        (OPEN_MPI, Announced("Open MPI's mpirun", 2, 1)),
        # The innermost starter counts: an mpiexec inside a step, an mpirun inside both.
        (SRUN | PMI, Announced("mpiexec or srun with PMI", 4, 3)),
        (SRUN | PMI | OPEN_MPI, Announced("Open MPI's mpirun", 2, 1)),
        (BATCH_SCRIPT | PMI, Announced("mpiexec or srun with PMI", 4, 3)),
        # SLURM_NTASKS is what the job was given, not what was started.
        (BATCH_SCRIPT, None),
        (BATCH_SCRIPT | {"SLURM_STEP_NUM_TASKS": "64"}, None),
        # Slurm's own numbers for the batch, extern and interactive steps, and its word for them.
        *((SRUN | {"SLURM_STEP_ID": step}, None) for step in ("4294967291", "4294967292", "4294967290", "batch")),
        # A name without a number says nothing.
        ({"PMI_SIZE": "", "OMPI_COMM_WORLD_SIZE": "many"}, None),
    ],
)
def test_the_innermost_starter_is_heard(
    plain_shell: pytest.MonkeyPatch, environment: dict[str, str], expected: Announced | None
) -> None:
    for name, value in environment.items():
        plain_shell.setenv(name, value)
    assert announced() == expected


def test_a_plain_process_is_serial_and_loads_no_mpi(plain_shell: pytest.MonkeyPatch) -> None:
    assert isinstance(world(), SerialCommunicator)
    done = in_new_process({}, "import sys; print('mpi4py' in sys.modules)")
    assert done.stdout.split() == ["SerialCommunicator", "False"]


def test_one_rank_without_a_library_is_serial(plain_shell: pytest.MonkeyPatch) -> None:
    for environment in (
        {"PMI_SIZE": "1"},
        {"OMPI_COMM_WORLD_SIZE": "1"},
        SRUN | {"SLURM_STEP_NUM_TASKS": "1"},
    ):
        assert in_new_process(environment | NO_LIBRARY).stdout.split() == ["SerialCommunicator"]


def test_many_ranks_without_a_library_are_refused_with_the_fix(plain_shell: pytest.MonkeyPatch) -> None:
    done = in_new_process(PMI | NO_LIBRARY)
    assert done.returncode != 0
    message = done.stderr.splitlines()[-1]
    assert "LaunchError: started as rank 3 of 4 by mpiexec or srun with PMI, but no MPI library loads" in message
    assert "cannot load MPI library" in message
    assert "pip install 'hpcjobs[local]'" in message


def test_many_ranks_without_mpi4py_are_refused_too(plain_shell: pytest.MonkeyPatch) -> None:
    for name, value in SRUN.items():
        plain_shell.setenv(name, value)
    done = in_new_process(SRUN, before="import sys; sys.modules['mpi4py'] = None")
    assert "LaunchError: started as rank 5 of 8 by srun, but no MPI library loads" in done.stderr


@pytest.mark.mpi(ranks=(1, 3))
def test_ranks_of_mpiexec_see_each_other(ranks: int) -> None:
    start, communicator = announced(), world()
    assert start is not None
    assert (communicator.rank, communicator.size) == (start.rank, ranks)
    assert start.size == ranks
    assert type(communicator).__name__ == "MPICommunicator"


def in_new_process(
    environment: dict[str, str], after: str = "", before: str = ""
) -> "subprocess.CompletedProcess[str]":
    """The name of the world's class, as a fresh interpreter prints it."""
    code = f"{before}\nfrom hpcjobs.parallel.starter import world\nprint(type(world()).__name__)\n{after}"
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
