"""Troubles of real clusters, switched on one by one."""

import subprocess
import sys
import time

import pytest
from testing.site import Site

from hpcjobs.errors import LaunchError
from hpcjobs.testing import FakeSlurm

LOST = "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation\n"
DOWN = "Unable to contact slurm controller (connect failure)"


def running(site: Site, *options: object) -> int:
    """A job that is in the middle of its work."""
    before = site.text("out").count("up\n")
    job = site.wrap("echo up; sleep 60", *options)
    site.until(lambda: site.text("out").count("up\n") > before, "the job")
    return job


def test_without_accounting_sacct_says_so(site: Site, pretend: FakeSlurm) -> None:
    pretend.scenario(no_accounting=True)
    assert site.refused("sacct", "-P") == "Slurm accounting storage is disabled\n"
    pretend.scenario(no_accounting=False)
    site.ask("sacct", "-P")


def test_accounting_lags(site: Site, pretend: FakeSlurm) -> None:
    job = site.wrap("true")
    site.wait(job, "COMPLETED")
    assert site.account("State", "-X", f"--jobs={job}") == [["COMPLETED"]]
    pretend.scenario(accounting_lag=3600)
    assert site.account("State", "-X", f"--jobs={job}") == []


def test_answers_are_empty_a_number_of_times(site: Site, pretend: FakeSlurm) -> None:
    job = site.wrap("true", "--hold")
    pretend.scenario(empty_answers=2)
    assert [site.ask("squeue", "--noheader", f"--jobs={job}") == "" for _ in range(3)] == [True, True, False]
    pretend.scenario(empty_squeue=True)
    assert [site.queue("%i") for _ in range(3)] == [[], [], []]


def test_the_controller_is_down_a_number_of_times(site: Site, pretend: FakeSlurm) -> None:
    script = site.script("job.sh", "true")
    pretend.scenario(controller_down=5)
    assert site.refused("sbatch", script) == f"sbatch: error: Batch job submission failed: {DOWN}\n"
    assert site.refused("squeue") == f"slurm_load_jobs error: {DOWN}\n"
    assert site.refused("sinfo") == f"slurm_load_partitions: {DOWN}\n"
    assert DOWN in site.refused("scancel", "1")
    assert "is DOWN" in site.refused("scontrol", "ping")
    assert site.call("squeue").returncode == 0
    assert pretend.jobs() == []


def test_a_submission_is_accepted_and_the_answer_lost(site: Site, pretend: FakeSlurm) -> None:
    pretend.scenario(timeout_after_accept=1)
    assert site.refused("sbatch", "--job-name=lost", site.script("job.sh", "true")) == LOST
    assert [job["name"] for job in pretend.jobs()] == ["lost"]
    assert site.submit("--job-name=heard", "job.sh") == 2


def test_a_submission_is_accepted_and_never_answered(site: Site, pretend: FakeSlurm) -> None:
    pretend.scenario(hang_after_accept=1)
    argv = ["sbatch", site.script("job.sh", "true")]
    with subprocess.Popen(argv, cwd=site.folder, env=site.env, stdout=subprocess.PIPE) as process:
        site.until(pretend.jobs, "the job")
        assert process.poll() is None
        process.kill()
    assert len(pretend.jobs()) == 1


def test_out_of_memory_is_told_by_step_with_its_peak(site: Site, pretend: FakeSlurm) -> None:
    script = site.script("job.sh", "#SBATCH --mem=100M --output=out", "echo up", "srun sleep 60")
    job = site.submit(script)
    site.until(lambda: len(pretend.jobs()[0]["steps"]) == 1, "the step")
    pretend.fail(job, "oom")
    site.wait(job, "OUT_OF_MEMORY")
    lines = site.account("JobID,State,ExitCode,MaxRSS,ReqMem", f"--jobs={job}")
    assert lines[0] == [str(job), "OUT_OF_MEMORY", "0:125", "", "100M"]
    name, state, code, peak, _ = lines[3]
    assert (name, state, code) == (f"{job}.0", "OUT_OF_MEMORY", "0:125")
    assert int(peak.removesuffix("K")) > 100 * 1024
    assert "oom_kill event" in site.text("out")


def test_a_node_fails_and_takes_its_job_back_into_the_queue_or_down(site: Site, pretend: FakeSlurm) -> None:
    job = running(site, "--requeue")
    pretend.fail(job, "node")
    site.until(lambda: site.text("out").count("up\n") == 2, "a second run")
    assert site.show(job)["Restarts"] == "1"
    assert site.account("State", "-X", "-D", f"--jobs={job}") == [["NODE_FAIL"], ["RUNNING"]]
    other = running(site, "--no-requeue")
    pretend.fail(other, "node")
    site.wait(other, "NODE_FAIL")


def test_a_time_limit_comes_at_once(site: Site, pretend: FakeSlurm) -> None:
    job = running(site)
    pretend.fail(job, "time")
    site.wait(job, "TIMEOUT")
    assert site.account("JobID,State,ExitCode", f"--jobs={job}") == [
        [str(job), "TIMEOUT", "0:0"],
        [f"{job}.batch", "CANCELLED", "0:15"],
        [f"{job}.extern", "COMPLETED", "0:0"],
    ]


def test_preemption_requeues_or_cancels(site: Site, pretend: FakeSlurm) -> None:
    job = running(site)
    pretend.fail(job, "preempt")
    site.until(lambda: site.text("out").count("up\n") == 2, "a second run")
    assert "DUE TO PREEMPTION" in site.text("out")
    pretend.fail(job, "preempt-cancel")
    site.wait(job, "PREEMPTED")


def test_a_job_of_a_higher_partition_takes_the_nodes(site: Site) -> None:
    low = running(site, "--partition=scavenge", "--nodes=4", "--exclusive", "--requeue")
    high = site.wrap("true", "--nodes=4", "--exclusive")
    site.wait(high, "COMPLETED")
    site.until(lambda: site.text("out").count("up\n") == 2, "a second run")
    assert site.show(low)["Restarts"] == "1"


def test_a_time_of_grace_is_told_to_the_steps_only(site: Site, pretend: FakeSlurm) -> None:
    pretend.configure(grace=20)  # seconds of Slurm's, half a second here
    heed = "trap 'echo step TERM' TERM; echo up; for i in {1..600}; do sleep 0.1; done"
    lines = (
        "#SBATCH --output=out --open-mode=append --requeue",
        "trap 'echo batch TERM' TERM",
        f'srun bash -c "{heed}" &',
    )
    low = site.submit("--partition=scavenge", "--nodes=4", "--exclusive", site.script("job.sh", *lines, "wait; wait"))
    site.says("up")
    high = site.wrap("true", "--nodes=4", "--exclusive")
    site.says("step TERM")
    assert "batch TERM" not in site.text("out") and site.show(low)["PreemptTime"] != "None"
    site.wait(high, "COMPLETED")
    assert "batch TERM" in site.text("out") and site.show(low)["Restarts"] == "1"


def test_an_unknown_state_is_shown(site: Site, pretend: FakeSlurm) -> None:
    job = running(site)
    pretend.scenario(unknown_state=True)
    assert site.queue("%T", f"--jobs={job}") == ["WIBBLING"] and site.state(job) == "WIBBLING"
    assert site.account("State", "-X", f"--jobs={job}") == [["WIBBLING"]]


def test_banners_and_the_name_of_the_cluster_surround_the_answer(site: Site, pretend: FakeSlurm) -> None:
    script = site.script("job.sh", "true")
    pretend.scenario(banner="Welcome!\nMaintenance on Monday 12", banner_after="Bye.", cluster_in_answer=True)
    assert site.ask("sbatch", "--parsable", script) == "Welcome!\nMaintenance on Monday 12\n1;pretend\nBye."


def test_the_environment_can_bring_trouble_too(site: Site) -> None:
    troubled = Site(site.folder, {**site.env, "HPCJOBS_FAKE_SCENARIO": '{"no_accounting": true}'})
    assert "disabled" in troubled.refused("sacct")


def test_wrong_names_of_troubles_and_settings_are_refused(pretend: FakeSlurm, site: Site) -> None:
    with pytest.raises(LaunchError, match="did you mean 'no_accounting'"):
        pretend.scenario(no_acounting=True)
    with pytest.raises(LaunchError, match="did you mean 'minute'"):
        FakeSlurm(site.folder / "other", minutes=3)
    with pytest.raises(LaunchError, match="a job cannot be broken by 'fire'"):
        pretend.fail(1, "fire")
    with pytest.raises(LaunchError, match="job 1 does not run"):
        pretend.fail(1, "oom")


def test_the_end_of_the_cluster_is_the_end_of_its_jobs(site: Site, pretend: FakeSlurm) -> None:
    site.wrap("trap '' TERM; echo up $$; sleep 61 & wait")
    site.says("up")
    shell = int(site.text("out").split()[1])
    pretend.stop()
    site.until(lambda: not alive(shell), "the shell to end")


def test_a_cluster_whose_owner_is_killed_ends_its_jobs(site: Site) -> None:
    code = (
        "import os, subprocess, sys; from pathlib import Path; from hpcjobs.testing import FakeSlurm\n"
        "slurm = FakeSlurm(Path('owned'))\n"
        "subprocess.run(['sbatch', '--output=out', '--wrap=echo up $$; sleep 61'], env=slurm.environment())\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=site.folder, stdin=subprocess.PIPE) as owner:
        site.says("up")
        shell = int(site.text("out").split()[1])
        owner.kill()
    site.until(lambda: not alive(shell), "the shell to end")


def alive(pid: int) -> bool:
    from hpcjobs.testing.fake.wake import started

    return started(pid) != ""


def test_calls_are_in_the_journal(site: Site, pretend: FakeSlurm) -> None:
    before = time.time()
    site.wrap("squeue --noheader")
    site.wait(1, "COMPLETED")
    assert pretend.calls("sbatch")[0][-1] == "--wrap=squeue --noheader"
    entry = pretend.journal("squeue")[0]
    assert (entry["argv"], entry["job"]) == (["squeue", "--noheader"], "1")
    assert before <= entry["time"] <= time.time()
