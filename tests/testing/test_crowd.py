"""Many jobs and many who ask: nothing is lost and nothing gets stuck."""

import subprocess

from testing.site import Site

from hpcjobs.testing import FakeSlurm

JOBS = 1000


def test_a_thousand_waiting_jobs_and_five_who_watch(site: Site, pretend: FakeSlurm) -> None:
    job = site.submit(f"--array=0-{JOBS - 1}%4", "--output=/dev/null", site.script("job.sh", "exit 0"))
    argv = ["squeue", "--noheader", "--array", "--states=all", "--format=%i|%T"]
    for _ in range(3):
        watchers = [
            subprocess.Popen(argv, cwd=site.folder, env=site.env, stdout=subprocess.PIPE, text=True) for _ in range(5)
        ]
        for watcher in watchers:
            lines = watcher.communicate(timeout=30)[0].splitlines()
            assert watcher.returncode == 0
            assert sorted(line.split("|")[0] for line in lines) == sorted(f"{job}_{task}" for task in range(JOBS))
    site.until(lambda: sum(job["state"] == "COMPLETED" for job in pretend.jobs()) >= 8, "some to end")
    site.ask("scancel", job)
    site.until(lambda: site.queue("%i") == [], "the end")
    assert all(job["state"] in ("COMPLETED", "CANCELLED") for job in pretend.jobs())
    assert len(pretend.calls("squeue")) >= 15


def test_many_submissions_at_once_get_a_number_each(site: Site, pretend: FakeSlurm) -> None:
    argv = ["sbatch", "--parsable", "--output=/dev/null", site.script("job.sh", "true")]
    started = [
        subprocess.Popen(argv, cwd=site.folder, env=site.env, stdout=subprocess.PIPE, text=True) for _ in range(20)
    ]
    numbers = [int(process.communicate(timeout=30)[0]) for process in started]
    assert sorted(numbers) == list(range(1, 21))
    site.until(lambda: all(job["state"] == "COMPLETED" for job in pretend.jobs()), "the end")
