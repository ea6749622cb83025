"""The census finds out, before any work, that the ranks cannot give the right answer or would crawl."""

import os
import platform
from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits

from hpcjobs.errors import LaunchError
from hpcjobs.parallel.census import take_census
from hpcjobs.parallel.communicator import Communicator, SerialCommunicator

STARTS = {
    "Open MPI's mpirun": {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "2"},
    "mpiexec or srun with PMI": {"PMI_SIZE": "4", "PMI_RANK": "2"},
    "srun": {"SLURM_STEP_ID": "3", "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "2"},
}


@pytest.fixture
def one_core() -> Iterator[int]:
    """This process bound to a single core."""
    before = os.sched_getaffinity(0)
    core = min(before)
    os.sched_setaffinity(0, {core})
    yield core
    os.sched_setaffinity(0, before)


@pytest.mark.parametrize("by", STARTS)
def test_singletons_are_refused_with_the_fix(plain_shell: pytest.MonkeyPatch, by: str) -> None:
    for name, value in STARTS[by].items():
        plain_shell.setenv(name, value)
    with pytest.raises(LaunchError) as error:
        take_census(SerialCommunicator())
    message = str(error.value)
    assert message.startswith(f"{by} started 4 processes, but each sees an MPI world of 1")
    for fix in (
        "srun --mpi=pmi2",
        "srun --mpi=pmix",
        "srun --mpi=list",
        "mpiexec that belongs to the MPI library",
    ):
        assert fix in message


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"SLURM_NTASKS": "64", "SLURM_JOB_ID": "5", "SLURM_PROCID": "0"},  # in a batch script
        {"SLURM_NTASKS": "64", "SLURM_STEP_ID": "4294967291", "SLURM_STEP_NUM_TASKS": "64"},  # the batch step
        {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "1", "SLURM_NTASKS": "64"},  # srun -n 1 in a large job
        {"PMI_SIZE": "1", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4"},  # mpiexec -n 1 in a large step
        {"OMPI_COMM_WORLD_SIZE": "1", "PMI_SIZE": "4"},
    ],
)
def test_a_process_that_is_meant_to_be_alone_is_accepted(
    plain_shell: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        plain_shell.setenv(name, value)
    with threadpool_limits(1):
        (entry,) = take_census(SerialCommunicator())
    assert entry["rank"] == 0
    assert entry["pid"] == os.getpid()
    assert entry["host"] == platform.node()
    assert set(entry["cores"]) == os.sched_getaffinity(0)
    assert entry["processor"]


def test_more_blas_threads_than_cores_are_refused(plain_shell: pytest.MonkeyPatch, one_core: int) -> None:
    with threadpool_limits(3), pytest.raises(LaunchError) as error:
        take_census(SerialCommunicator())
    message = str(error.value)
    assert message.startswith(f"1 ranks with 3 BLAS threads each on {platform.node()}, which gives them 1 cores")
    assert "unset OPENBLAS_NUM_THREADS, OMP_NUM_THREADS and MKL_NUM_THREADS" in message


def test_one_blas_thread_on_a_shared_core_is_accepted(plain_shell: pytest.MonkeyPatch, one_core: int) -> None:
    with threadpool_limits(1):
        (entry,) = take_census(SerialCommunicator())
    assert entry["cores"] == (one_core,)
    assert entry["blas_threads"] == 1


@pytest.mark.mpi(ranks=(1, 3))
def test_every_rank_learns_of_every_rank(communicator: Communicator, ranks: int) -> None:
    entries = take_census(communicator)
    assert [entry["rank"] for entry in entries] == list(range(ranks))
    assert entries[communicator.rank]["pid"] == os.getpid()
    assert len({entry["pid"] for entry in entries}) == ranks
    assert {entry["host"] for entry in entries} == {platform.node()}
    assert communicator.allgather_object(entries) == [entries] * ranks


@pytest.mark.mpi(ranks=3)
def test_threads_of_one_rank_are_counted_for_all_and_all_stop(communicator: Communicator) -> None:
    """Ranks that fit one by one do not fit together: one core more than a third of all for each."""
    threads = len(os.sched_getaffinity(0)) // 3 + 2
    with threadpool_limits(threads if communicator.rank == 1 else 1), pytest.raises(LaunchError) as error:
        take_census(communicator)
    messages = set(communicator.allgather_object(str(error.value)))
    assert len(messages) == 1
    assert messages.pop().startswith(f"3 ranks with {threads} BLAS threads each")
