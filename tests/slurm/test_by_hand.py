"""The script, submitted by hand with plain sbatch: any nodes, limits, cancels and crashes, and the local digest."""

import json
import sys

import pytest
from cluster import LONG, SCRIPT, SHORT, Slurm
from command import hpcjobs, story

RESTARTS = ("--restarts", 240, "--checkpoint-seconds", 1)


@pytest.mark.parametrize("nodes", [1, 2, 3])
def test_any_number_of_nodes_ends_with_the_local_digest(slurm: Slurm, nodes: int) -> None:
    size = (f"--nodes={nodes}", "--ntasks-per-node=2")
    job = slurm.submit(*size, SCRIPT, "run", "kmeans", *SHORT, "--out", f"nodes{nodes}")
    slurm.wait(job, "COMPLETED")
    told = story(slurm.folder, f"nodes{nodes}")
    assert told["digest"] == slurm.digest("short")
    assert (told["attempts"][-1]["ranks"], told["attempts"][-1]["nodes"]) == (2 * nodes, nodes)
    assert told["attempts"][-1]["job_id"] == str(job)


def test_mpiexec_in_a_script_of_ones_own_ends_with_the_local_digest(slurm: Slurm) -> None:
    script = slurm.folder / "own.sbatch"
    words = " ".join(str(word) for word in ("run", "kmeans", *SHORT, "--out", "own"))
    launcher = sys.executable.rpartition("/")[0] + "/mpiexec"
    script.write_text(f"#!/bin/bash\n{launcher} {sys.executable} -m mpi4py -m hpcjobs {words}\n")
    slurm.wait(slurm.submit("--nodes=2", "--ntasks-per-node=2", script), "COMPLETED")
    assert slurm.digest("own") == slurm.digest("short")


def test_a_run_without_a_folder_gets_one_named_after_its_job(slurm: Slurm) -> None:
    job = slurm.submit("--ntasks=2", SCRIPT, "run", "kmeans", *SHORT)
    slurm.wait(job, "COMPLETED")
    assert slurm.digest(f"runs/slurm-{job}") == slurm.digest("short")


def test_a_time_limit_saves_requeues_and_ends_with_the_local_digest(slurm: Slurm) -> None:
    limit = ("--nodes=2", "--time=1", "--signal=B:USR1@30")
    job = slurm.submit(*limit, SCRIPT, "run", "kmeans", *LONG, *RESTARTS, "--out", "limit")
    slurm.wait(job, "COMPLETED", limit_s=400)
    told = story(slurm.folder, "limit")
    assert told["digest"] == slurm.digest("long")
    assert int(slurm.show(job)["Restarts"]) == len(told["attempts"]) - 1 > 0
    assert all("at a checkpoint" in attempt["reason"] for attempt in told["attempts"][:-1])


def test_a_cancelled_job_stays_cancelled_and_can_be_resumed(slurm: Slurm) -> None:
    job = slurm.submit("--nodes=2", SCRIPT, "run", "kmeans", *LONG, *RESTARTS, "--out", "cancelled")
    slurm.until(lambda: slurm.steps("cancelled") > 0, "a checkpoint")
    slurm.ask("scancel", job)
    slurm.wait(job, "CANCELLED")
    slurm.until(lambda: not (slurm.folder / "cancelled" / "lease").exists(), "the ranks to stop", 30)
    assert json.loads((slurm.folder / "cancelled" / "outcome.json").read_text())["state"] == "stopped"
    hpcjobs(slurm.folder, "resume", "cancelled", "-n", 2)
    assert slurm.state(job) == "CANCELLED"
    assert slurm.digest("cancelled") == slurm.digest("long")


def test_a_node_that_crashes_costs_no_bits(slurm: Slurm) -> None:
    job = slurm.submit("--nodes=2", SCRIPT, "run", "kmeans", *LONG, *RESTARTS, "--out", "crashed")
    slurm.until(lambda: slurm.steps("crashed") > 0, "a checkpoint")
    victim = slurm.show(job)["BatchHost"]
    slurm.cluster("crash", victim)
    slurm.wait(job, "PENDING", limit_s=60)
    slurm.cluster("restore", victim)
    slurm.wait(job, "COMPLETED", limit_s=300)
    assert slurm.digest("crashed") == slurm.digest("long")


def test_singletons_are_refused_within_seconds(slurm: Slurm) -> None:
    script = slurm.folder / "wrong.sbatch"
    script.write_text(f"#!/bin/bash\nsrun --mpi=none {sys.executable} -m hpcjobs run kmeans --data b.h5 --clusters 2\n")
    job = slurm.submit("--ntasks=3", "--output=wrong.out", script)
    slurm.wait(job, "FAILED", limit_s=30)
    assert "each sees an MPI world of 1" in (slurm.folder / "wrong.out").read_text()


def test_a_node_without_hpcjobs_says_so(slurm: Slurm) -> None:
    job = slurm.submit("--output=python.out", "--export=ALL,HPCJOBS_PYTHON=/usr/bin/python3", SCRIPT, "run", "kmeans")
    slurm.wait(job, "FAILED", limit_s=30)
    assert "set HPCJOBS_PYTHON" in (slurm.folder / "python.out").read_text()
