"""The lease: one living owner; a dead one here is taken over at once, a silent one elsewhere after a while."""

import json
import os
import platform
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from hpcjobs.errors import RunFolderError
from hpcjobs.launch.slurm.control import over
from hpcjobs.runs import lease as leases
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.lease import Lease, take
from hpcjobs.runs.process import boot_id, myself, start_ticks


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.setattr(leases, "PATIENCE_S", 0.3)
    return RunFolder(tmp_path)


def held_by(folder: RunFolder, **owner: Any) -> None:
    """Write the lease of someone else."""
    attempts = [{"id": "old", "reason": "running"}]
    record = {"token": "old", "owner": {**myself(), **owner}, "attempts": attempts}
    folder.lease.write_text(json.dumps(record))


def in_job(monkeypatch: pytest.MonkeyPatch, job: str, restarts: int, cluster: str) -> None:
    """Put this process into a Slurm job."""
    for name in ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    here = {"SLURM_JOB_ID": job, "SLURM_RESTART_COUNT": str(restarts), "SLURM_CLUSTER_NAME": cluster}
    for name, value in here.items():
        monkeypatch.setenv(name, value)


def owner_of(folder: RunFolder) -> str:
    return str(json.loads(folder.lease.read_text())["token"])


def dead_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def test_a_free_folder_is_taken_and_given_back(folder: RunFolder) -> None:
    attempts = take(folder, {"reason": "running"}, [])
    assert [attempt["reason"] for attempt in attempts] == ["running"]
    lease = Lease(folder.lease, attempts[-1]["id"], beats=False)
    assert lease.ours()
    lease.release()
    assert list(folder.path.iterdir()) == []


def test_a_living_owner_is_named(folder: RunFolder) -> None:
    held_by(folder)
    with pytest.raises(RunFolderError, match=f"in use by process {os.getpid()} on {platform.node()}"):
        take(folder, {"reason": "running"}, [])
    assert owner_of(folder) == "old"


@pytest.mark.parametrize("kind", ["gone", "another boot", "number used again"])
def test_a_dead_owner_is_taken_over_and_told_as_killed(folder: RunFolder, kind: str) -> None:
    if kind == "gone":
        held_by(folder, pid=dead_process())
    elif kind == "another boot":
        held_by(folder, boot=boot_id() + "x")
    else:
        held_by(folder, started=(start_ticks(os.getpid()) or 0) - 1)
    attempts = take(folder, {"reason": "running"}, [{"id": "first", "reason": "stopped"}])
    assert [attempt["reason"] for attempt in attempts] == ["stopped", "killed", "running"]
    assert owner_of(folder) == attempts[-1]["id"]


def test_an_attempt_that_told_how_it_ended_is_not_told_again(folder: RunFolder) -> None:
    held_by(folder, pid=dead_process())
    attempts = take(folder, {"reason": "running"}, [{"id": "old", "reason": "failed: no luck"}])
    assert [attempt["reason"] for attempt in attempts] == ["failed: no luck", "running"]


def test_a_silent_owner_on_another_host_is_given_up(folder: RunFolder) -> None:
    held_by(folder, host="elsewhere")
    with pytest.raises(RunFolderError, match="on elsewhere"):
        take(folder, {"reason": "running"}, [])
    assert leases.owner(folder) is not None
    silent = time.time() - leases.SILENCE_S - 5
    os.utime(folder.lease, (silent, silent))
    assert take(folder, {"reason": "running"}, [])[0]["reason"] == "killed"


@pytest.mark.parametrize(
    ("theirs", "ours", "named", "job", "restarts", "taken"),
    [
        ("a", "a", "a", "13", 0, True),  # Slurm says that job 12 has ended
        ("a", "a", "a", "12", 1, True),  # started again, as we are told ourselves
        ("a", "a", "a", "12", 0, False),
        ("b", "a", "a", "13", 0, False),
        ("b", "a", "a", "12", 1, False),
        ("", "a", "a", "13", 0, False),
        ("a", "", "a", "", 0, True),  # on a login node
        ("a", "", "b", "", 0, False),
        ("", "", "", "12", 1, False),
    ],
)
def test_the_word_of_slurm_counts_only_for_jobs_of_the_same_cluster(
    folder: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
    theirs: str,
    ours: str,
    named: str,
    job: str,
    restarts: int,
    taken: bool,
) -> None:
    attempt = {"id": "old", "reason": "running", "job_id": "12", "restarts": 0, "cluster": theirs}
    owner = {**myself(), "host": "elsewhere"}
    folder.lease.write_text(json.dumps({"token": "old", "owner": owner, "attempts": [attempt]}))
    in_job(monkeypatch, job, restarts, ours)
    tools = folder.path / "tools"  # a controller that knows no job 12 any more
    tools.mkdir()
    (tools / "squeue").write_text('#!/bin/sh\necho "slurm_load_jobs error: Invalid job id specified" >&2; exit 1\n')
    (tools / "scontrol").write_text(f'#!/bin/sh\necho "ClusterName             = {named}"\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    if taken:
        assert take(folder, {"reason": "running"}, [], over)[0]["reason"] == "killed"
    else:
        with pytest.raises(RunFolderError, match="on elsewhere"):
            take(folder, {"reason": "running"}, [], over)


def test_of_many_that_take_over_at_once_one_wins(folder: RunFolder) -> None:
    held_by(folder, pid=dead_process())
    won: list[str] = []

    def try_to_take() -> None:
        try:
            won.append(take(folder, {"reason": "running"}, [])[-1]["id"])
        except RunFolderError:
            pass

    threads = [threading.Thread(target=try_to_take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [owner_of(folder)]
    assert [path.name for path in folder.path.iterdir()] == ["lease"]


def test_a_lease_that_was_lost_stops_its_old_owner(folder: RunFolder) -> None:
    lease = Lease(folder.lease, take(folder, {"reason": "running"}, [])[-1]["id"], beats=False)
    held_by(folder)
    with pytest.raises(RunFolderError, match="taken this run over"):
        lease.check()
    lease.release()
    assert owner_of(folder) == "old"


def test_the_heartbeat_keeps_the_lease_young(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "HEARTBEAT_S", 0.01)
    lease = Lease(folder.lease, take(folder, {"reason": "running"}, [])[-1]["id"], beats=True)
    os.utime(folder.lease, (0, 0))
    deadline = time.monotonic() + 10
    while folder.lease.stat().st_mtime == 0:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    lease.release()


def test_an_owner_in_another_container_is_not_taken_for_dead(folder: RunFolder) -> None:
    held_by(folder, pid=dead_process(), space="pid:[1]")
    with pytest.raises(RunFolderError, match="in use"):
        take(folder, {"reason": "running"}, [])


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"token": "a"}', '{"owner": {}}'])
def test_an_unreadable_lease_is_named(folder: RunFolder, content: str) -> None:
    folder.lease.write_text(content)
    with pytest.raises(RunFolderError, match="unreadable"):
        take(folder, {"reason": "running"}, [])
