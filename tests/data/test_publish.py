"""A name without `.tmp` is complete or is not there, and on any error the old file stays."""

import errno
import os
import stat
from pathlib import Path

import pytest

from hpcjobs.data.publish import publish, publish_bytes, write_at
from hpcjobs.errors import DataError, RunFolderError


class Stop(BaseException):
    """Like KeyboardInterrupt: no Exception, so only the broadest handler sees it."""


def test_a_published_file_has_the_bytes_and_leaves_nothing_else(tmp_path: Path) -> None:
    publish_bytes(tmp_path / "a.json", b"whole")
    assert (tmp_path / "a.json").read_bytes() == b"whole"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_the_name_does_not_exist_until_the_body_has_ended(tmp_path: Path) -> None:
    with publish(tmp_path / "a") as temporary:
        temporary.write_bytes(b"half")
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".tmp"
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a").read_bytes() == b"half"


@pytest.mark.parametrize("error", [ValueError("bug"), DataError("bad"), Stop(), KeyboardInterrupt()])
def test_an_error_in_the_body_keeps_the_old_file_and_is_passed_on(tmp_path: Path, error: BaseException) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(type(error)), publish(tmp_path / "a") as temporary:
        temporary.write_bytes(b"new")
        raise error
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_refusal_at_the_last_moment_keeps_the_old_file(tmp_path: Path) -> None:
    def refuse() -> None:
        raise RunFolderError("another process has taken this run over")

    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(RunFolderError, match="taken"):
        publish_bytes(tmp_path / "a", b"new", before_rename=refuse)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_failing_system_call_keeps_the_old_file_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(*((os, "fsync") if call == "fsync" else (Path, "rename")), fail)
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(DataError, match=rf"{tmp_path}/a: cannot be written: Disk quota exceeded; the file .* stays"):
        publish_bytes(tmp_path / "a", b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_bytes_are_on_the_disk_before_the_name_and_the_name_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def logged_fsync(descriptor: int) -> None:
        log.append("fsync folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "fsync file")
        fsync(descriptor)

    def logged_rename(self: Path, target: Path) -> Path:
        log.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", logged_fsync)
    monkeypatch.setattr(Path, "rename", logged_rename)
    publish_bytes(tmp_path / "a", b"x")
    assert log == ["fsync file", "rename", "fsync folder"]
    log.clear()
    with publish(tmp_path / "live", durable=False) as temporary:
        temporary.write_bytes(b"x")
    assert log == ["rename"]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o007, 0o660)])
def test_the_mode_of_a_new_file_honours_the_umask(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        publish_bytes(tmp_path / "a", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode


def test_a_missing_folder_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be written: No such file or directory; .* make the folder first"):
        publish_bytes(tmp_path / "no" / "a", b"x")


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, view, at: pwrite(fd, view[:3], at))
    path = tmp_path / "a"
    path.write_bytes(b"..")
    descriptor = os.open(path, os.O_RDWR)
    try:
        write_at(descriptor, 2, memoryview(b"0123456789"))
    finally:
        os.close(descriptor)
    assert path.read_bytes() == b"..0123456789"
