"""What befalls jobs on a cluster, done to root's and to an ordinary user's at once: each ends with the local digest."""

import json
from typing import Any

import pytest
from cluster import CPU, LONG, PACED, Slurm
from command import story

SAVED = ("--checkpoint-seconds", 1)
# Jobs that last, and nodes that may be broken.
CALM, ROUGH = "--nodelist=node1,node2", "--nodelist=node3,node4"
SPARE = "--exclude=node1,node2"  # leaves one node more than needed
Jobs = list[tuple[Slurm, int]]


def begun(everyone: list[Slurm], run: str, *options: str) -> Jobs:
    """The same run submitted for everyone on two nodes, with a checkpoint each."""
    wish = ("run", PACED, *LONG, "--restarts", 4, *SAVED, "--out", run)
    jobs = [(slurm, slurm.submit("--nodes=2", *options, CPU, *wish)) for slurm in everyone]
    for slurm, _ in jobs:
        slurm.wait_for_step(run)
    return jobs


def end_like_local_runs(jobs: Jobs, run: str) -> list[list[dict[str, Any]]]:
    """Wait for the jobs, compare the digests, and return the attempts of each."""
    attempts = []
    for slurm, job in jobs:
        slurm.wait(job, "COMPLETED", limit_s=200)
        told = story(slurm.folder, run)
        assert told["digest"] == slurm.local["long"]
        attempts.append(told["attempts"])
    return attempts


@pytest.fixture(scope="module", autouse=True)
def limited(everyone: list[Slurm]) -> Jobs:
    """Jobs of more work than fits into their minute; they run while other nodes break."""
    wish = ("run", PACED, *LONG, "--restarts", 12, *SAVED, "--out", "limit")
    limit = ("--nodes=2", CALM, "--time=1", "--signal=B:USR1@15")
    return [(slurm, slurm.submit(*limit, CPU, *wish)) for slurm in everyone]


def test_a_cancelled_job_stays_cancelled_and_can_be_resumed(everyone: list[Slurm]) -> None:
    jobs = begun(everyone, "cancelled", ROUGH)
    for slurm, job in jobs:
        slurm.ask("scancel", job)
    for slurm, job in jobs:
        slurm.wait(job, "CANCELLED")
        slurm.wait_for_rest("cancelled")
        assert json.loads((slurm.folder / "cancelled" / "outcome.json").read_text())["state"] == "stopped"
        slurm.hpcjobs("resume", "cancelled", "-n", 2)
        assert slurm.state(job) == "CANCELLED"
        assert slurm.digest("cancelled") == slurm.local["long"]


def test_a_preempted_job_goes_on_when_its_nodes_are_free(everyone: list[Slurm]) -> None:
    jobs = begun(everyone, "preempted", ROUGH, "--partition=scavenge")
    everyone[0].ask("srun", "--partition=main", "--exclusive", "--nodes=2", ROUGH, "true")
    for attempts in end_like_local_runs(jobs, "preempted"):
        assert len(attempts) == 2
        assert attempts[1]["first_step"] > 0


def test_a_node_that_crashes_costs_no_bits(everyone: list[Slurm]) -> None:
    jobs = begun(everyone, "crashed", SPARE)
    assert {slurm.show(job)["BatchHost"] for slurm, job in jobs} == {"node3"}
    everyone[0].cluster("crash", "node3")
    try:
        for attempts in end_like_local_runs(jobs, "crashed"):
            # Whichever is first: Slurm ends the ranks that are left, or one of them finds that its peer is gone.
            assert any(word in attempts[0]["reason"] for word in ("killed", "MPI error"))
            assert attempts[-1]["first_step"] > 0
    finally:
        everyone[0].cluster("restore", "node3")
    assert {slurm.show(job)["BatchHost"] for slurm, job in jobs} == {"node4"}


def test_jobs_outlive_a_controller_that_is_killed(everyone: list[Slurm]) -> None:
    jobs = begun(everyone, "controller", ROUGH)
    everyone[0].cluster("kill-ctld")
    before = [slurm.steps("controller") for slurm in everyone]
    for slurm, step in zip(everyone, before, strict=True):
        slurm.wait_for_step("controller", beyond=step)
    everyone[0].cluster("up")
    for (slurm, job), attempts in zip(jobs, end_like_local_runs(jobs, "controller"), strict=True):
        assert len(attempts) == 1
        assert slurm.show(job)["Restarts"] == "0"


def test_a_time_limit_saves_requeues_and_ends_with_the_local_digest(limited: Jobs) -> None:
    for slurm, job in limited:
        slurm.wait(job, "COMPLETED", limit_s=300)
        told = story(slurm.folder, "limit")
        assert told["digest"] == slurm.local["limit"]
        assert int(slurm.show(job)["Restarts"]) == len(told["attempts"]) - 1 > 0
        assert all("at a checkpoint" in attempt["reason"] for attempt in told["attempts"][:-1])
