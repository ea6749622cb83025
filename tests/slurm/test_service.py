"""`hpcjobs submit` and the verbs that watch, on a real Slurm: what users do, and what befalls them."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from cluster import CPU, LONG, PACED, SHORT, Slurm
from command import story

SLOW = (PACED, *LONG, "--restarts", 4, "--checkpoint-seconds", 1)


def submitted(slurm: Slurm, *argv: object) -> int:
    """Submit through hpcjobs; the id stands alone on stdout."""
    return int(slurm.hpcjobs("submit", *argv))


def refused(slurm: Slurm, *argv: object) -> str:
    """The message of a command that must fail as the user's mistake."""
    ended = slurm.call(slurm.python, "-m", "hpcjobs", *argv)
    assert (ended.returncode, ended.stdout) == (2, ""), ended
    return ended.stderr


def status(slurm: Slurm, run: str) -> dict[str, Any]:
    (told,) = json.loads(slurm.hpcjobs("status", run, "--json"))
    return dict(told)


def named_jobs(slurm: Slurm, run: str) -> list[str]:
    """The jobs that Slurm has of a run, by the token in their names."""
    record = json.loads((slurm.folder / run / "submission.json").read_text())
    names = {f"{record['name']}-{sent['token']}" for sent in record["sent"]}
    return [line for line in slurm.ask("squeue", "--noheader", "--states=all", "--format=%j").split() if line in names]


@pytest.fixture(scope="module", autouse=True)
def limited(slurm: Slurm) -> int:
    """A job of more work than fits into its minute; it runs while the others do."""
    wish = (PACED, *LONG, "--restarts", 12, "--checkpoint-seconds", 1, "--nodes", 2, "--time", 1)
    return submitted(slurm, *wish, "--sbatch-arg=--signal=B:USR1@30", "--out", "limited")


def test_a_run_is_submitted_waited_for_and_told_like_a_local_one(slurm: Slurm) -> None:
    job = submitted(slurm, "kmeans", *SHORT, "--nodes", 2, "--ntasks-per-node", 2, "--time", 5, "--out", "sent")
    slurm.hpcjobs("wait", "sent")
    told = story(slurm.folder, "sent")
    assert told["digest"] == slurm.local["short"]
    assert [attempt["job_id"] for attempt in told["attempts"]] == [str(job)]
    assert (told["attempts"][0]["ranks"], told["attempts"][0]["nodes"]) == (4, 2)
    assert status(slurm, str(job)) | {"since": ""} == status(slurm, "sent") | {"since": ""}
    assert status(slurm, "sent")["state"] == "done"
    assert "done: " in slurm.hpcjobs("logs", "sent")
    run = slurm.folder / "sent"
    for path in (run, *run.rglob("*")):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
    assert (run / "job.sbatch").read_bytes() == CPU.read_bytes()


def test_a_sweep_is_split_at_the_sites_array_size_and_every_task_runs_once(slurm: Slurm) -> None:
    size = int(slurm.ask("sh", "-c", "scontrol show config | sed -n 's/^MaxArraySize *= //p'"))
    axes = ("--sweep", "clusters=12,3", f"seed=0:{size}")
    jobs = slurm.hpcjobs(
        "submit", "kmeans", "--data", "b.h5", "--clusters", 2, "--max-iterations", 10, *axes, "--out", "sweep"
    ).split()
    assert len(jobs) == 2
    slurm.hpcjobs("wait", "sweep")
    rows = json.loads(slurm.hpcjobs("list", "--columns", "clusters,seed", "--json"))
    tasks = [row for row in rows if row["run"].startswith("sweep/")]
    assert {(row["clusters"], row["seed"]) for row in tasks} == {(k, seed) for k in (12, 3) for seed in range(size)}
    assert {row["state"] for row in tasks} == {"done"}
    assert next(row["digest"] for row in tasks if (row["clusters"], row["seed"]) == (12, 0)) == slurm.local["short"]
    ended = slurm.call(slurm.python, "-m", "hpcjobs", "submit", "sweep", "--only", "failed")
    assert (ended.returncode, ended.stdout) == (0, "")


def test_a_dependency_waits_and_one_that_cannot_be_met_is_explained(slurm: Slurm) -> None:
    first = submitted(slurm, "kmeans", *SHORT, "--out", "first", "--sbatch-arg=--hold")
    submitted(slurm, "kmeans", *SHORT, "--dependency", f"afterok:{first}", "--out", "second")
    never = submitted(slurm, "kmeans", *SHORT, "--dependency", f"afternotok:{first}", "--out", "never")
    assert "waits for the jobs named in --dependency" in slurm.hpcjobs("why", "second")
    slurm.ask("scontrol", "release", str(first))
    slurm.hpcjobs("wait", "first", "second")
    assert slurm.digest("second") == slurm.local["short"]
    slurm.until(lambda: slurm.show(never)["Reason"] == "DependencyNeverSatisfied", "Slurm to notice")
    assert "DependencyNeverSatisfied" in slurm.hpcjobs("why", "never")
    slurm.hpcjobs("cancel", "never")
    assert slurm.state(never) == "CANCELLED"


def test_a_cancelled_run_stays_cancelled_and_goes_on_when_it_is_sent_again(slurm: Slurm) -> None:
    job = submitted(slurm, *SLOW, "--nodes", 2, "--out", "stop")
    slurm.wait_for_step("stop")
    slurm.hpcjobs("cancel", "stop")
    slurm.wait(job, "CANCELLED")
    slurm.wait_for_rest("stop")
    assert status(slurm, "stop")["state"] == "cancelled"
    assert slurm.call(slurm.python, "-m", "hpcjobs", "wait", "stop").returncode == 75
    again = submitted(slurm, "stop", "--nodes", 3)
    slurm.hpcjobs("wait", "stop")
    assert slurm.digest("stop") == slurm.local["long"]
    assert [attempt["job_id"] for attempt in story(slurm.folder, "stop")["attempts"]] == [str(job), str(again)]
    assert slurm.state(job) == "CANCELLED"


def test_what_can_never_run_is_refused_before_the_queue(slurm: Slurm) -> None:
    for wish, message in (
        (("--partition", "shrt"), "did you mean 'short'"),
        (("--partition", "short", "--time", 10), "allows at most"),
        (("--nodes", 99), "partition"),
        (("--gpus-per-node", "a100:8"), "GPU"),
        (("--mem", "100M"), "too little"),
    ):
        assert message in refused(slurm, "submit", "kmeans", *SHORT, *wish, "--out", "impossible")
        assert not (slurm.folder / "impossible").exists()
    header = slurm.folder / "impossible.sbatch"
    header.write_text("#!/bin/bash\n#SBATCH --nodelist=nosuchnode\n")  # what only Slurm itself can know
    told = refused(slurm, "submit", "kmeans", *SHORT, "--script", header, "--out", "impossible")
    assert "Slurm refused the job: Invalid node name specified" in told
    assert not (slurm.folder / "impossible").exists()


def test_a_held_job_is_explained_with_the_command_that_lets_it_go(slurm: Slurm) -> None:
    job = submitted(slurm, "kmeans", *SHORT, "--sbatch-arg=--hold", "--out", "held")
    assert f"scontrol release {job}" in slurm.hpcjobs("why", "held")
    slurm.ask("scontrol", "release", job)
    slurm.hpcjobs("wait", "held")
    assert slurm.digest("held") == slurm.local["short"]


def test_a_second_job_on_one_folder_is_refused_and_harms_nothing(slurm: Slurm) -> None:
    job = submitted(slurm, *SLOW, "--nodes", 2, "--out", "twice")
    slurm.wait_for_step("twice")
    assert f"job {job} is running" in refused(slurm, "submit", "twice")
    rival = slurm.submit(CPU, "--python", slurm.python, "resume", slurm.folder / "twice")
    slurm.wait(rival, "FAILED")
    assert "in use by process" in slurm.log(rival)
    slurm.hpcjobs("wait", "twice")
    assert slurm.digest("twice") == slurm.local["long"]
    assert len(story(slurm.folder, "twice")["attempts"]) == 1


def test_out_of_memory_is_explained_and_the_command_to_paste_works(slurm: Slurm) -> None:
    run = slurm.folder / "hungry"
    (slurm.folder / "site.sh").rename(slurm.folder / "kept.sh")  # the interpreter is recorded, no set-up is needed
    submitted(slurm, *SLOW, "--mem", "400M", "--out", "hungry", "--sbatch-arg=--begin=now+1")
    record = json.loads((run / "submission.json").read_text())
    slurm.ask("scontrol", "update", f"JobId={record['sent'][-1]['job_id']}", "MinMemoryNode=20")
    assert slurm.call(slurm.python, "-m", "hpcjobs", "wait", "hungry").returncode not in (0, 75)
    (slurm.folder / "kept.sh").rename(slurm.folder / "site.sh")
    (told,) = json.loads(slurm.hpcjobs("why", "hungry", "--json"))
    assert told["headline"].startswith("out of memory")
    words = told["command"].split()
    assert words[:3] == ["hpcjobs", "resume", str(run)]
    assert words[3] == "--mem"
    slurm.hpcjobs(*words[1:])
    slurm.hpcjobs("wait", "hungry")
    assert slurm.digest("hungry") == slurm.local["long"]


def test_a_controller_that_is_down_leaves_one_job_in_the_end(slurm: Slurm) -> None:
    slurm.cluster("kill-ctld")
    try:
        ended = slurm.call(slurm.python, "-m", "hpcjobs", "submit", "kmeans", *SHORT, "--out", "unsure", limit_s=200)
        assert ended.returncode == 2
        assert "does not answer" in ended.stderr
        assert status(slurm, "unsure")["state"] == "submitting"
    finally:
        slurm.cluster("up")
    submitted(slurm, "unsure")
    slurm.hpcjobs("wait", "unsure")
    assert slurm.digest("unsure") == slurm.local["short"]
    assert len(named_jobs(slurm, "unsure")) == 1


def test_the_code_that_was_submitted_is_the_code_that_runs(slurm: Slurm) -> None:
    job = slurm.folder / "own.py"
    job.write_text(Path(PACED).read_text())
    submitted(slurm, job, *SHORT, "--out", "code", "--sbatch-arg=--begin=now+2")
    job.write_text("raise SystemExit('edited since')\n")
    slurm.hpcjobs("wait", "code")
    assert slurm.digest("code") == slurm.local["short"]


def test_a_data_set_is_made_by_a_job(slurm: Slurm) -> None:
    submitted(
        slurm, "data", "generate", "blobs", "made.h5", "--rows", 100, "--columns", 3, "--centres", 2, "--ntasks", 2
    )
    slurm.hpcjobs("wait", "last")
    local = ("data", "generate", "blobs", "local.h5", "--rows", 100, "--columns", 3, "--centres", 2)
    slurm.hpcjobs(*local)
    shown = [slurm.hpcjobs("data", "verify", name).partition("file digest")[2] for name in ("made.h5", "local.h5")]
    assert shown[0] == shown[1]


def test_a_time_limit_requeues_until_the_run_is_done(slurm: Slurm, limited: int) -> None:
    ended = slurm.call(slurm.python, "-m", "hpcjobs", "wait", "limited", limit_s=300)
    assert (ended.returncode, ended.stdout) == (0, "")
    told = story(slurm.folder, "limited")
    assert told["digest"] == slurm.local["limit"]
    assert len(told["attempts"]) > 1
    assert {attempt["job_id"] for attempt in told["attempts"]} == {str(limited)}


def test_a_preemption_with_a_time_of_grace_is_requeued_by_the_script(slurm: Slurm) -> None:
    there = ("--sbatch-arg=--nodelist=node4", "--nodes", 1, "--ntasks-per-node", 2)
    job = submitted(slurm, *SLOW, "--partition", "grace", *there, "--out", "grace")
    slurm.wait_for_step("grace")
    slurm.ask("srun", "--partition=main", "--exclusive", "--nodelist=node4", "true")
    slurm.hpcjobs("wait", "grace")
    told = story(slurm.folder, "grace")
    assert told["digest"] == slurm.local["long"]
    assert [attempt["job_id"] for attempt in told["attempts"]] == [str(job)] * 2
    assert told["attempts"][0]["reason"].startswith("preempted")
