"""`hpcjobs submit` on a pretend cluster: what is sent, what is kept, what is refused, and what becomes of it."""

import json
import os
import shlex
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import pytest
from command import hpcjobs, refused, start, story, wait_until

from hpcjobs.data.generate import generate_blobs
from hpcjobs.testing import FakeSlurm

KMEANS = ("kmeans", "--data", "b.h5", "--clusters", 3)
# A job that starts fast; each number follows from the one before, so a lost or repeated step would show in the end.
COUNT = """
import time
from typing import Annotated
import msgspec
import numpy as np
from hpcjobs.data.schema import Variable
from hpcjobs.settings import setting

class Settings(msgspec.Struct, frozen=True, kw_only=True):
    steps: Annotated[int, setting("how many", ge=1, extendable=True)] = 3
    seed: Annotated[int, setting("where to begin")] = 0
    pause: Annotated[float, setting("seconds between two", volatile=True)] = 0.0

def run(settings, context):
    step, state = context.resume(every_steps=1, every_s=0)
    value = int(state.get("value", settings.seed))
    while step < settings.steps:
        time.sleep(settings.pause)
        step, value = step + 1, (value * 69069 + 1) % 2**32
        context.history.log(step, value=float(value))
        context.progress.step(step, settings.steps, "counting")
        context.step_done(step, {"value": np.array(value)})
    return context.publish_result("a number", {"/result/value": Variable((), np.array(value), "the last one")})
"""
SHORT = ("./count.py",)
LONG = ("./count.py", "--steps", 10**6, "--pause", 0.02)  # until it is stopped
PACED = ("./count.py", "--steps", 60, "--pause", 0.05)


class Site:
    """A user's folder on the login node of a pretend cluster."""

    def __init__(self, folder: Path, cluster: FakeSlurm) -> None:
        self.folder, self.cluster = folder, cluster
        cache = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))  # what Numba has compiled
        self.env = cluster.environment({}) | {"HOME": str(folder), "XDG_CACHE_HOME": cache}
        self.env["PATH"] = os.pathsep.join([str(cluster.bin), os.environ["PATH"]])

    def hpcjobs(self, *argv: object, code: int = 0) -> "subprocess.CompletedProcess[str]":
        return hpcjobs(self.folder, *argv, code=code, env=self.env)

    def refused(self, *argv: object) -> str:
        return refused(self.folder, *argv, env=self.env)

    def submit(self, *argv: object) -> str:
        return self.hpcjobs("submit", *argv).stdout.strip()

    def status(self, run: str) -> dict[str, Any]:
        (told,) = json.loads(self.hpcjobs("status", run, "--json").stdout)
        return dict(told)

    def digest(self, run: str) -> str:
        return str(story(self.folder, run)["digest"])

    def read(self, run: str, name: str) -> dict[str, Any]:
        return dict(json.loads((self.folder / run / name).read_text()))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    generate_blobs(tmp_path / "b.h5", rows=500, columns=4, centres=3, seed=0)
    (tmp_path / "count.py").write_text(COUNT)
    with FakeSlurm(tmp_path / "cluster") as cluster:
        yield Site(tmp_path, cluster)


def test_a_submitted_run_ends_with_the_digest_of_a_local_one(site: Site) -> None:
    ended = site.hpcjobs("submit", *KMEANS, "--nodes", 2, "--ntasks-per-node", 2, "--time", 5, "--out", "sent")
    assert ended.stdout.strip().isdecimal()
    site.hpcjobs("wait", "sent")
    site.hpcjobs("run", *KMEANS, "--out", "local")
    assert site.digest("sent") == site.digest("local")
    told = story(site.folder, "sent")["attempts"]
    assert [(one["job_id"], one["ranks"]) for one in told] == [(ended.stdout.strip(), 4)]


def test_what_crosses_is_the_run_folder_and_the_dry_run_shows_it_all(site: Site) -> None:
    wish = (*SHORT, "--nodes", 2, "--mem", "2G", "--partition", "main", "--sbatch-arg=--nice=5", "--out", "run")
    shown = site.hpcjobs("submit", *wish, "--dry-run").stdout
    assert not (site.folder / "run").exists()
    assert site.cluster.calls("sbatch") == []
    site.submit(*wish)
    command, _, script = shown.partition("\n\n")
    assert (site.folder / "run" / "job.sbatch").read_text() == script
    token = site.read("run", "submission.json")["sent"][0]["token"]
    assert ["sbatch", *site.cluster.calls("sbatch")[0]] == shlex.split(command.replace("TOKEN", token))


def test_a_run_folder_and_all_in_it_are_private_unless_shared(site: Site) -> None:
    for options, forbidden in ((("--out", "mine"), 0o077), (("--out", "ours", "--share", "group"), 0o027)):
        site.submit(*SHORT, *options)
        site.hpcjobs("wait", options[1])
        for path in (site.folder / options[1], *(site.folder / options[1]).rglob("*")):
            assert not stat.S_IMODE(path.stat().st_mode) & forbidden, path
    assert stat.S_IMODE((site.folder / "ours").stat().st_mode) == 0o750
    assert stat.S_IMODE((site.folder / "ours" / "result.h5").stat().st_mode) == 0o640


def test_no_secret_of_the_environment_is_written_or_printed(site: Site) -> None:
    site.env["API_TOKEN"] = "s3cr3t-canary"  # noqa: S105 (it is there to be looked for)
    printed = site.hpcjobs("submit", *SHORT, "--dry-run")
    sent = site.hpcjobs("submit", *SHORT, "--out", "quiet")
    site.hpcjobs("wait", "quiet")
    for text in (printed.stdout, printed.stderr, sent.stdout, sent.stderr):
        assert "s3cr3t" not in text
    for path in (site.folder / "quiet").rglob("*"):
        assert path.is_dir() or b"s3cr3t" not in path.read_bytes(), path


def test_sizes_of_a_surrounding_job_do_not_leak_into_a_nested_submit(site: Site) -> None:
    site.env |= {"SBATCH_PARTITION": "nosuch", "SLURM_NTASKS": "64", "SLURM_JOB_ID": "4242", "SQUEUE_FORMAT": "%j"}
    job = site.submit(*SHORT, "--out", "nested")
    site.hpcjobs("wait", "nested")
    assert site.status("nested")["job_id"] == job
    assert story(site.folder, "nested")["attempts"][0]["ranks"] == 1


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (("--partition", "mian"), "did you mean 'main'"),
        (("--partition", "short", "--time", "1:00:00"), "partitions that fit"),
        (("--nodes", 500), "--nodes"),
        (("--partition", "gpu", "--gpus-per-node", "h100:2"), "a100"),
        (("--mem", "10M"), "--mem 1G"),
        (("--mem", "1G", "--mem-per-cpu", "1G"), "exclude each other"),
        (("--clusters", 501), "at most one cluster a row"),
        (("--name", "a b"), "--name"),
        (("--tag", "$(x)"), "--tag"),
        (("--script", "nosuch.sbatch"), "nosuch"),
        (("--sbatch-arg=--wrap=x",), "hpcjobs sets it itself"),
        (("--sweep", "clustres=1,2"), "did you mean 'clusters'"),
    ],
)
def test_what_cannot_run_is_refused_before_the_queue(site: Site, wish: tuple[object, ...], message: str) -> None:
    assert message in site.refused("submit", *KMEANS, *wish)
    assert site.cluster.calls("sbatch") == []
    assert not (site.folder / "runs").exists()


def test_data_that_are_not_there_are_refused_before_the_queue(site: Site) -> None:
    assert "nosuch.h5" in site.refused("submit", "kmeans", "--data", "nosuch.h5", "--clusters", 3)
    assert site.cluster.calls("sbatch") == []
    assert not (site.folder / "runs").exists()


def test_what_only_slurm_can_refuse_leaves_nothing_behind(site: Site) -> None:
    assert "Slurm refused the job" in site.refused("submit", *SHORT, "--qos", "nosuch", "--out", "gone")
    assert not (site.folder / "gone").exists()


def test_without_slurm_submit_says_so_and_names_what_works(tmp_path: Path) -> None:
    hpcjobs(tmp_path, "data", "generate", "blobs", "b.h5", "--rows", 50, "--columns", 2, "--centres", 2)
    env = {"PATH": str(tmp_path)}
    assert "--detach" in refused(tmp_path, "submit", *KMEANS, env=env)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("trouble", [{"timeout_after_accept": 1}, {"controller_down": 1}])
def test_a_lost_answer_ends_in_one_job(site: Site, trouble: dict[str, int]) -> None:
    site.cluster.scenario(**trouble)
    site.submit(*SHORT, "--out", "once")
    site.hpcjobs("wait", "once")
    assert len(site.cluster.jobs()) == 1


def test_a_controller_that_is_down_is_asked_again_by_the_next_submit(site: Site) -> None:
    site.cluster.scenario(timeout_after_accept=1)
    process = start(site.folder, "submit", *SHORT, "--out", "later", "--sbatch-arg=--hold", env=site.env)
    wait_until(lambda: site.cluster.jobs(), "the job to be accepted")
    process.send_signal(signal.SIGKILL)  # before it has heard, or looked, whether it was
    process.communicate()
    assert site.status("later")["state"] == "submitting"
    job = site.submit("later")
    assert job == site.status("later")["job_id"]
    subprocess.run(["scontrol", "release", job], env=os.environ | site.env, check=True)
    site.hpcjobs("wait", "later")
    assert len(site.cluster.jobs()) == 1
    assert site.status("later")["state"] == "done"


def test_two_submits_of_one_folder_at_once_end_in_one_job(site: Site) -> None:
    slow = site.folder / "slow"
    slow.mkdir()
    (slow / "sbatch").write_text(f'#!/bin/sh\nsleep 1\nexec {site.cluster.bin}/sbatch "$@"\n')
    (slow / "sbatch").chmod(0o755)
    env = site.env | {"PATH": f"{slow}:{site.env['PATH']}"}
    site.submit(*LONG, "--out", "pair", "--sbatch-arg=--hold")
    site.hpcjobs("cancel", "pair")
    both = [start(site.folder, "submit", "pair", "--sbatch-arg=--hold", env=env) for _ in range(2)]
    ended = [(process.communicate(timeout=60), process.returncode) for process in both]
    assert sorted(code for _, code in ended) == [0, 2]
    assert "is pending" in "".join(err for (_, err), _ in ended)
    assert len(site.cluster.jobs()) == 2  # the cancelled one, and one more
    assert [one["job_id"] for one in site.read("pair", "submission.json")["sent"]] == ["1", "2"]


def test_a_task_of_a_sweep_is_sent_again_from_its_sweep(site: Site) -> None:
    site.submit(*SHORT, "--sweep", "seed=1:3", "--out", "few", "--sbatch-arg=--hold")
    assert "is pending" in site.refused("submit", "few/task-00001")
    site.hpcjobs("cancel", "few/task-00001")
    again = site.submit("few/task-00001")
    site.hpcjobs("wait", "few/task-00001")
    assert site.status("few/task-00001")["job_id"] == f"{again}_1"


def test_what_slurm_still_has_is_not_changed(site: Site) -> None:
    site.submit(*SHORT, "--out", "fixed", "--sbatch-arg=--hold", "--max-requeues", 3, "--mpi", "mpiexec")
    assert "is pending" in site.refused("submit", "fixed", "--steps", 9)
    assert site.read("fixed", "settings.json")["settings"]["steps"] == 3
    site.hpcjobs("cancel", "fixed")
    site.submit("fixed", "--steps", 9, "--sbatch-arg=--hold")
    assert site.read("fixed", "settings.json")["settings"]["steps"] == 9
    record = site.read("fixed", "submission.json")
    assert (record["max_requeues"], record["mpi"]) == (3, "mpiexec")


def test_what_waits_in_the_queue_is_not_started_here_as_well(site: Site) -> None:
    site.submit(*SHORT, "--out", "queued", "--sbatch-arg=--hold")
    assert "is pending" in site.refused("resume", "queued")
    site.hpcjobs("cancel", "queued")
    site.hpcjobs("resume", "queued")
    assert site.status("queued")["state"] == "done"


def test_a_run_in_the_background_is_started_once(site: Site) -> None:
    site.hpcjobs("run", *LONG, "--detach", "--out", "apart")
    assert "runs already" in site.refused("run", *LONG, "--detach", "--out", "apart")
    assert "in use by process" in site.refused("submit", "apart", "--steps", 10**7)
    site.hpcjobs("cancel", "apart")
    site.hpcjobs("wait", "apart", code=75)


def test_a_number_and_last_never_mean_another_run(site: Site) -> None:
    site.hpcjobs("run", *SHORT, "--out", "7run")
    assert "no run of yours is known to be job 7" in site.refused("cancel", "7")
    site.hpcjobs("run", *SHORT, "--out", "gone")
    (site.folder / "gone").rename(site.folder / "elsewhere")
    assert "is gone" in site.refused("status", "last")


def test_a_short_time_limit_is_told_of_in_time(site: Site) -> None:
    site.submit(*SHORT, "--time", 2, "--sbatch-arg=--hold")
    assert "--signal=B:USR1@30" in site.cluster.calls("sbatch")[-1]
    site.submit(*SHORT, "--time", 30, "--sbatch-arg=--hold")
    assert not any(word.startswith("--signal") for word in site.cluster.calls("sbatch")[-1])


def test_banners_and_cluster_names_do_not_hide_the_number(site: Site) -> None:
    site.cluster.scenario(banner="Welcome to the machine", cluster_in_answer=True)
    job = site.submit(*SHORT, "--out", "banner")
    assert job.isdecimal()
    site.hpcjobs("wait", "banner")


def test_a_sweep_sends_each_task_once_and_again_only_what_is_asked_for(site: Site) -> None:
    site.cluster.configure(max_array_size=4)
    wish = (*SHORT, "--sweep", "steps=2,3", "seed=5:8", "--out", "sweep")
    jobs = site.submit(*wish, "--sbatch-arg=--hold").split()
    assert len(jobs) == 2
    settings = [site.read(f"sweep/task-{task:05d}", "settings.json")["settings"] for task in range(6)]
    assert [(one["steps"], one["seed"]) for one in settings] == [
        (steps, seed) for steps in (2, 3) for seed in range(5, 8)
    ]
    site.hpcjobs("cancel", "sweep/task-00005")
    for job in jobs:
        subprocess.run(["scontrol", "release", job], env=os.environ | site.env, check=True)
    site.hpcjobs("wait", "sweep", code=1)
    told = json.loads(site.hpcjobs("status", "sweep", "--json").stdout)
    assert [one["state"] for one in told] == ["done"] * 5 + ["cancelled"]
    assert site.submit("last", "--only", "failed") == ""  # the sweep, not the task that ran last
    (again,) = site.submit("sweep", "--only", "unfinished", "--sbatch-arg=--nice=1").split()
    site.hpcjobs("wait", "sweep")
    assert site.status("sweep/task-00005")["job_id"] == f"{again}_1"
    assert len({site.digest(f"sweep/task-{task:05d}") for task in range(6)}) == 6
    site.hpcjobs("run", *SHORT, "--seed", 7, "--out", "one")
    assert site.digest("sweep/task-00005") == site.digest("one")


def test_the_users_own_code_is_kept_and_runs_as_it_was_submitted(site: Site) -> None:
    package = site.folder / "mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "helper.py").write_text(COUNT)
    (package / "job.py").write_text("from mine import helper as Job\n")
    site.hpcjobs("run", *SHORT, "--out", "plain")
    for name, out in (("./count.py", "file"), ("mine.job:Job", "package")):
        site.submit(name, "--out", out, "--sbatch-arg=--hold")
        assert site.read(out, "settings.json")["code"]
    for edited in (site.folder / "count.py", package / "job.py", package / "helper.py"):
        edited.write_text("raise SystemExit('edited since')\n")
    for out in ("file", "package"):
        subprocess.run(["scontrol", "release", site.status(out)["job_id"]], env=os.environ | site.env, check=True)
        site.hpcjobs("wait", out)
        assert site.digest(out) == site.digest("plain")


def test_a_run_that_is_sent_again_keeps_its_resources_and_its_edited_script(site: Site) -> None:
    site.submit(*LONG, "--nodes", 2, "--mem-per-cpu", "2G", "--sbatch-arg=--hold", "--out", "again")
    script = site.folder / "again" / "job.sbatch"
    script.write_text(script.read_text().replace("#SBATCH --requeue", "#SBATCH --requeue\n#SBATCH --comment=mine"))
    assert "is pending" in site.refused("submit", "again")
    site.hpcjobs("cancel", "again")
    site.hpcjobs("resume", "again", "--mem", "3G", "--sbatch-arg=--hold")
    options = site.cluster.calls("sbatch")[-1]
    assert {"--nodes=2", "--mem=3G"} <= set(options)
    assert not any(word.startswith("--mem-per-cpu") for word in options)
    assert "--comment=mine" in script.read_text()


def test_resources_come_from_the_toml_file_and_flags_win(site: Site) -> None:
    (site.folder / "job.toml").write_text('data = "b.h5"\nclusters = 3\n[slurm]\nnodes = 2\ntime = "00:20:00"\n')
    site.submit("kmeans", "job.toml", "--time", "00:05:00", "--sbatch-arg=--hold")
    assert {"--nodes=2", "--time=00:05:00"} <= set(site.cluster.calls("sbatch")[-1])
    (site.folder / "job.toml").write_text('data = "b.h5"\nclusters = 3\n[slurm]\nnods = 2\n')
    assert "did you mean 'nodes'" in site.refused("submit", "kmeans", "job.toml")
    site.hpcjobs("run", "kmeans", "job.toml")  # which knows nothing of Slurm


def test_a_data_set_is_imported_by_a_job(site: Site) -> None:
    (site.folder / "t.csv").write_text("a,b\n1,2\n3,4\n")
    assert "exists already" in site.refused("submit", "data", "import", "t.csv", "b.h5")
    assert "nope.csv: no such file" in site.refused("submit", "data", "import", "nope.csv", "t.h5")
    site.submit("data", "import", "t.csv", "t.h5", "--time", 5)
    site.hpcjobs("wait", "last")
    assert "2 rows x 2 columns" in story(site.folder, "last")["title"]
    site.hpcjobs("data", "verify", "t.h5")


def test_rows_are_shuffled_and_split_by_jobs(site: Site) -> None:
    assert "no such file" in site.refused("submit", "data", "shuffle", "nope.h5", "s.h5")
    assert "--test is missing" in site.refused("submit", "data", "split", "b.h5")
    site.submit("data", "shuffle", "b.h5", "s.h5", "--memory", "100MB", "--time", 5, "--ntasks", 2)
    site.submit("data", "split", "b.h5", "--test", 0.2, "--time", 5, "--out", "split")
    site.hpcjobs("data", "shuffle", "b.h5", "here.h5")
    site.hpcjobs("wait", "data-shuffle", "split")
    assert (site.folder / "s.h5").read_bytes() == (site.folder / "here.h5").read_bytes()
    assert story(site.folder, "split")["result"]["rows"] == [400, 100]


def test_a_model_is_applied_by_a_job(site: Site) -> None:
    site.hpcjobs("run", *KMEANS, "--out", "model")
    assert "no such file" in site.refused("submit", "predict", "model", "nope.h5", "p.h5")
    assert "exists already" in site.refused("submit", "predict", "model", "b.h5", "b.h5")
    site.submit("predict", "model", "b.h5", "p.h5", "--time", 5, "--ntasks", 2)
    site.hpcjobs("wait", "last")
    assert story(site.folder, "last")["result"]["rows"] == 500
    with h5py.File(site.folder / "p.h5") as found, h5py.File(site.folder / "model" / "result.h5") as run:
        assert (found["prediction/labels"][:] == run["result/labels"][:]).all()


def test_a_time_limit_is_followed_by_a_requeue_and_the_same_digest(site: Site) -> None:
    site.cluster.configure(minute=12.0, requeue_delay=0.2)
    site.submit(*PACED[:3], "--pause", 0.15, "--time", 1, "--sbatch-arg=--signal=B:USR1@30", "--out", "limit")
    site.hpcjobs("wait", "limit")
    assert len(story(site.folder, "limit")["attempts"]) > 1
    site.hpcjobs("run", *PACED[:3], "--out", "calm")
    assert site.digest("limit") == site.digest("calm")


def test_a_node_that_fails_and_a_preemption_lose_nothing(site: Site) -> None:
    site.cluster.configure(requeue_delay=0.2, kill_wait=5)
    jobs = {out: site.submit(*PACED, "--nodes", 2, "--out", out) for out in ("node", "preempt")}
    for out, job in jobs.items():
        wait_until(lambda out=out: list((site.folder / out).glob("checkpoints/step-*.h5")), "a checkpoint")
        site.cluster.fail(job, out)
    site.hpcjobs("run", *PACED[:3], "--out", "calm")
    for out in jobs:
        site.hpcjobs("wait", out)
        told = story(site.folder, out)
        assert told["digest"] == site.digest("calm")
        assert told["history"]["step"] == list(range(1, 61))
        assert len(told["attempts"]) == 2


def test_everyone_who_waits_hears_of_the_end(site: Site) -> None:
    site.submit(*LONG, "--out", "watched")
    watchers = [start(site.folder, "wait", "watched", env=site.env) for _ in range(5)]
    wait_until(lambda: site.status("watched")["state"] == "running", "the job to run")
    site.hpcjobs("cancel", "watched")
    for watcher in watchers:
        watcher.communicate(timeout=60)
        assert watcher.returncode == 75
