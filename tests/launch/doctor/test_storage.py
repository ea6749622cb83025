"""The file system of the runs: known by the innermost mount, full, slow, in memory, or of one host only."""

import os
from pathlib import Path

import pytest

from hpcjobs.errors import DataError
from hpcjobs.launch.doctor import storage
from hpcjobs.launch.doctor._finding import OK, PROBLEM, WARNING, Machine

GIB = 2**30
MOUNTS = r"""22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
31 22 0:28 / /home rw,relatime shared:5 - nfs4 server:/home rw,vers=4.2
32 22 0:29 / /home/me/in\040memory rw - tmpfs tmpfs rw
33 22 0:30 / /scratch rw - xfs /dev/sdb rw
34 22 0:31 / /scratch rw - lustre 10.0.0.1@tcp:/fs rw
a line of another kind
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var", "ext4"),
        ("/home/me/runs", "nfs4"),
        ("/home/me/in memory/runs", "tmpfs"),
        ("/scratch/me", "lustre"),  # what was mounted last hides what was there
        ("/scratches", "ext4"),
        ("/homes", "ext4"),
    ],
)
def test_the_innermost_mount_counts(folder: str, kind: str) -> None:
    assert storage.kind_of(MOUNTS, Path(folder)) == kind


def test_a_system_without_mounts_is_unknown() -> None:
    assert storage.kind_of("", Path("/")) == "unknown"


@pytest.mark.parametrize(
    ("kind", "free", "files", "cluster", "verdict", "words"),
    [
        ("lustre", 100 * GIB, 10**6, True, OK, "room for 100.0 GiB and for 1000000 files"),
        ("btrfs", 100 * GIB, None, False, OK, "room for 100.0 GiB"),
        ("ext4", 100 * GIB, 10**6, False, OK, "ext4"),
        ("ext4", 100 * GIB, 10**6, True, WARNING, "nodes may not see"),
        ("tmpfs", 100 * GIB, 10**6, False, WARNING, "in memory"),
        ("lustre", 5 * GIB, 10**6, True, WARNING, "nearly full"),
        ("lustre", GIB // 2, 10**6, True, PROBLEM, "full"),
        ("lustre", 100 * GIB, 5000, True, WARNING, "nearly full"),
        ("lustre", 100 * GIB, 0, True, PROBLEM, "full"),
    ],
)
def test_the_verdict_on_a_file_system(
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    free: int,
    files: int | None,
    cluster: bool,
    verdict: str,
    words: str,
) -> None:
    monkeypatch.setattr(storage, "scratch", lambda user: [])
    found = storage.judge_space(Path("/runs"), kind, free, files, cluster=cluster)
    assert found.verdict == verdict
    assert words in found.found
    assert found.fix == ("" if verdict == OK else "export HPCJOBS_RUNS=/a/folder/with/room")


def test_the_scratch_folder_of_the_site_is_what_is_advised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "large disk"
    scratch.mkdir()
    monkeypatch.setenv("SCRATCH", str(scratch))
    assert storage.elsewhere(tmp_path / "runs") == f"export HPCJOBS_RUNS='{scratch}'"
    assert str(scratch) not in storage.elsewhere(scratch / "runs")


def test_speed_is_measured_and_nothing_is_left(tmp_path: Path) -> None:
    found = storage.speed(Machine(tmp_path))
    assert "MiB/s to the disk" in found.found
    assert list(tmp_path.iterdir()) == []


def test_a_slow_disk_is_measured_with_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.touch()
    monkeypatch.setattr(storage, "MEASURE_S", 0.0)
    size, _ = storage.measure(path)
    assert size == path.stat().st_size == 2**20
    monkeypatch.setattr(storage, "MEASURE_S", 1e9)
    size, _ = storage.measure(path)
    assert (size, path.stat().st_size) == (48 * 2**20, 64 * 2**20)


@pytest.mark.parametrize(("seconds", "verdict"), [(0.1, OK), (0.9, OK), (1.1, WARNING), (0.0, OK)])
def test_the_verdict_on_a_speed(tmp_path: Path, seconds: float, verdict: str) -> None:
    found = storage.judge_speed(tmp_path, 48 * 2**20, seconds)
    assert found.verdict == verdict
    assert found.fix.startswith("export HPCJOBS_RUNS=") == (verdict != OK)


def test_a_rename_replaces_here(tmp_path: Path) -> None:
    assert storage.rename(Machine(tmp_path)).verdict == OK
    assert list(tmp_path.iterdir()) == []


def test_a_rename_that_leaves_the_old_file_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def keep(path: Path, content: bytes) -> None:
        if not path.exists():
            path.write_bytes(content)

    monkeypatch.setattr(storage, "publish_bytes", keep)
    found = storage.rename(Machine(tmp_path))
    assert found.verdict == PROBLEM
    assert "the next b'old'" in found.found


@pytest.mark.parametrize("check", [storage.speed, storage.rename])
def test_a_folder_that_takes_no_files_is_named(check: object) -> None:
    with pytest.raises(DataError, match="/proc: nothing can be made there"):
        check(Machine(Path("/proc")))  # type: ignore[operator]


def test_this_folder_lies_on_some_file_system(tmp_path: Path) -> None:
    disk = os.statvfs(tmp_path)
    found = storage.space(Machine(tmp_path))
    assert f"{tmp_path}: " in found.found
    assert ("files" in found.found) == (disk.f_files > 0)
