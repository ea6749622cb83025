"""Where the site keeps accounts: what the controller has forgotten is told by sacct, with memory and time used."""

import json

import pytest
from cluster import LONG, PACED, SHORT, Slurm


@pytest.fixture(scope="module", autouse=True)
def accounts(slurm: Slurm) -> None:
    ended = slurm.call("sacct", "--noheader")
    if ended.returncode:
        pytest.skip(f"needs a cluster that keeps accounts: {ended.stderr.strip()}")


def forgotten(slurm: Slurm, job: str) -> bool:
    """Whether the controller does not know a job any more, but accounting does."""
    known = slurm.ask("squeue", "--noheader", "--states=all", "--format=%A").split()
    return job not in known and job in slurm.ask("sacct", "--noheader", "--parsable2", "--format=JobID").split()


def test_a_job_that_ended_without_a_word_is_told_by_accounting(slurm: Slurm) -> None:
    job = slurm.hpcjobs("submit", PACED, *LONG, "--restarts", 4, "--out", "shot")
    slurm.until(lambda: (slurm.folder / "shot" / "lease").exists(), "the ranks to begin")
    slurm.ask("scancel", "--signal=KILL", "--full", job)
    slurm.until(lambda: forgotten(slurm, job), f"the controller to forget job {job}", 60)
    (told,) = json.loads(slurm.hpcjobs("status", "shot", "--json"))
    assert told["ended"]
    assert told["state"] in ("failed", "cancelled", "killed")
    assert "hpcjobs submit" in slurm.hpcjobs("why", "shot")


def test_memory_and_time_are_accounted_for(slurm: Slurm) -> None:
    job = slurm.hpcjobs("submit", PACED, *LONG, "--restarts", 1, "--ntasks", 2, "--mem", "2G", "--out", "frugal")
    slurm.hpcjobs("wait", "frugal")
    slurm.until(lambda: forgotten(slurm, job), f"the controller to forget job {job}", 60)
    (told,) = json.loads(slurm.hpcjobs("status", "frugal", "--json"))
    assert told["state"] == "done"
    text = slurm.hpcjobs("efficiency", "frugal")
    assert "memory" in text.lower()
    assert "2.0 GiB" in text or "2 GiB" in text


def test_out_of_memory_is_explained_with_the_peak(slurm: Slurm) -> None:
    slurm.hpcjobs(
        "submit", PACED, *LONG, "--restarts", 4, "--mem", "400M", "--out", "starved", "--sbatch-arg=--begin=now+1"
    )
    (told,) = json.loads(slurm.hpcjobs("status", "starved", "--json"))
    slurm.ask("scontrol", "update", f"JobId={told['job_id']}", "MinMemoryNode=20")
    assert slurm.call(slurm.python, "-m", "hpcjobs", "wait", "starved").returncode not in (0, 75)
    (why,) = json.loads(slurm.hpcjobs("why", "starved", "--json"))
    assert why["headline"].startswith("out of memory")
    assert " --mem " in why["command"]


def test_a_sweep_is_told_by_accounting_task_by_task(slurm: Slurm) -> None:
    job = slurm.hpcjobs("submit", "kmeans", *SHORT, "--sweep", "seed=0:3", "--out", "grid")
    slurm.hpcjobs("wait", "grid")
    slurm.until(lambda: forgotten(slurm, f"{job}_2"), "the controller to forget the array", 60)
    told = json.loads(slurm.hpcjobs("status", "grid", "--json"))
    assert [(one["state"], one["job_id"]) for one in told] == [("done", f"{job}_{task}") for task in range(3)]
