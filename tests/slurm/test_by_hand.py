"""The scripts, submitted by hand with plain sbatch: any nodes, any way to start ranks, and the local digest."""

import pytest
from cluster import CPU, GPU, LONG, PACED, SHORT, Slurm
from command import story

KMEANS = ("run", "kmeans", *SHORT)
Jobs = dict[str, int]


@pytest.fixture(scope="module")
def jobs(slurm: Slurm) -> Jobs:
    """Jobs that have nothing to do with each other, submitted at once."""
    launcher = slurm.python.with_name("mpiexec")
    own = slurm.folder / "own.sbatch"
    words = " ".join(str(word) for word in (*KMEANS, "--out", "own"))
    own.write_text(f"#!/bin/bash\n{launcher} {slurm.python} -m mpi4py -m hpcjobs {words}\n")
    wrong = slurm.folder / "wrong.sbatch"
    wrong.write_text(f"#!/bin/bash\nsrun --mpi=none {slurm.python} -m hpcjobs run kmeans --data b.h5 --clusters 2\n")
    two = ("--nodes=2", "--ntasks-per-node=1")
    return {
        "nodes1": slurm.submit("--nodes=1", "--ntasks-per-node=2", CPU, *KMEANS, "--out", "nodes1"),
        "nodes2": slurm.submit("--nodes=2", "--ntasks-per-node=2", CPU, *KMEANS, "--out", "nodes2"),
        "nodes3": slurm.submit("--nodes=3", "--ntasks-per-node=1", CPU, *KMEANS, "--out", "nodes3"),
        "own": slurm.submit(*two, own),
        "mpiexec": slurm.submit(*two, CPU, "--mpi", "mpiexec", *KMEANS, "--out", "mpiexec"),
        "unnamed": slurm.submit(CPU, *KMEANS),
        "wrong": slurm.submit("--ntasks=3", "--output=hpcjobs-%j.out", wrong),
        "python": slurm.submit(CPU, "--python", "/usr/bin/python3", *KMEANS),
        "pmix": slurm.submit(CPU, "--mpi", "pmix_of_the_future", *KMEANS),
    }


@pytest.fixture(scope="module")
def open_mpi_jobs(ordinary: Slurm) -> Jobs:
    """The same for Open MPI, as an ordinary user."""
    two = ("--nodes=2", "--ntasks-per-node=1")
    return {
        "nodes2": ordinary.submit("--nodes=2", "--ntasks-per-node=2", CPU, *KMEANS, "--out", "nodes2"),
        "nodes3": ordinary.submit("--nodes=3", "--ntasks-per-node=1", CPU, *KMEANS, "--out", "nodes3"),
        "mpiexec": ordinary.submit(*two, CPU, "--mpi", "mpiexec", *KMEANS, "--out", "mpiexec"),
        "gpu": ordinary.submit(*two, GPU, *KMEANS, "--out", "gpu"),
    }


def ends_like_a_local_run(slurm: Slurm, run: str, job: int, ranks: int, nodes: int) -> None:
    slurm.wait(job, "COMPLETED")
    told = story(slurm.folder, run)
    assert told["digest"] == slurm.local["short"]
    assert (told["attempts"][-1]["ranks"], told["attempts"][-1]["nodes"]) == (ranks, nodes)
    assert told["attempts"][-1]["job_id"] == str(job)


@pytest.mark.parametrize(
    ("run", "ranks", "nodes"),
    [("nodes1", 2, 1), ("nodes2", 4, 2), ("nodes3", 3, 3), ("own", 2, 2), ("mpiexec", 2, 2)],
)
def test_mpich_by_pmi2_and_by_mpiexec_ends_with_the_local_digest(
    slurm: Slurm, jobs: Jobs, run: str, ranks: int, nodes: int
) -> None:
    ends_like_a_local_run(slurm, run, jobs[run], ranks, nodes)


@pytest.mark.parametrize(
    ("run", "ranks", "nodes"), [("nodes2", 4, 2), ("nodes3", 3, 3), ("mpiexec", 2, 2), ("gpu", 2, 2)]
)
def test_open_mpi_by_pmix_and_by_mpiexec_ends_with_the_local_digest(
    ordinary: Slurm, open_mpi_jobs: Jobs, run: str, ranks: int, nodes: int
) -> None:
    ends_like_a_local_run(ordinary, run, open_mpi_jobs[run], ranks, nodes)


def test_a_run_without_a_folder_gets_one_named_after_its_job(slurm: Slurm, jobs: Jobs) -> None:
    ends_like_a_local_run(slurm, f"runs/slurm-{jobs['unnamed']}", jobs["unnamed"], 1, 1)


def test_singletons_are_refused(slurm: Slurm, jobs: Jobs) -> None:
    slurm.wait(jobs["wrong"], "FAILED")
    assert "each sees an MPI world of 1" in slurm.log(jobs["wrong"])


def test_a_node_without_hpcjobs_says_so(slurm: Slurm, jobs: Jobs) -> None:
    slurm.wait(jobs["python"], "FAILED")
    assert slurm.show(jobs["python"])["ExitCode"] == "2:0"
    assert "/usr/bin/python3 has no hpcjobs here" in slurm.log(jobs["python"])


def test_a_way_to_start_ranks_that_srun_lacks_is_told(slurm: Slurm, jobs: Jobs) -> None:
    slurm.wait(jobs["pmix"], "FAILED")
    assert "srun has no --mpi=pmix_of_the_future" in slurm.log(jobs["pmix"])
    assert "pmi2" in slurm.log(jobs["pmix"])


def test_one_node_of_several_without_the_environment_ends_all_ranks(slurm: Slurm) -> None:
    python = slurm.folder / "environment" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/bash\nexec {slurm.python} "$@"\n')
    python.chmod(0o755)
    slurm.cluster("exec", "node5", "mount", "-t", "tmpfs", "tmpfs", str(python.parent))
    try:
        there = ("--nodelist=node4,node5", "--nodes=2")
        job = slurm.submit(*there, CPU, "--python", python, "run", PACED, *LONG, "--out", "lacking")
        slurm.wait(job, "FAILED")
    finally:
        slurm.cluster("exec", "node5", "umount", str(python.parent))
    # What the node itself said may be lost when srun ends the others; what srun says of it is not (2: no such file).
    assert "node5: task 1: Exited with exit code 2" in slurm.log(job)


def test_a_job_out_of_memory_is_not_requeued_and_goes_on_with_more(everyone: list[Slurm]) -> None:
    wish = ("run", PACED, *LONG, "--restarts", 4, "--checkpoint-seconds", 1, "--out", "memory")
    jobs = [slurm.submit("--mem=20M", CPU, *wish) for slurm in everyone]
    for slurm, job in zip(everyone, jobs, strict=True):
        slurm.wait(job, "FAILED", "OUT_OF_MEMORY")
        assert slurm.show(job)["Restarts"] == "0"
        assert "memory" in slurm.log(job)
        slurm.hpcjobs(*wish)  # it may have been killed before it had a folder
        assert slurm.digest("memory") == slurm.local["long"]
