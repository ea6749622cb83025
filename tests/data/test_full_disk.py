"""A full disk ends in one message; the old file stays and no temporary one is left."""

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from hpcjobs.data.schema import Contents, Variable, rows_of
from hpcjobs.data.writing import write_file
from hpcjobs.errors import DataError

FULL = "cannot be written: No space left on device; .* free some space on that disk"


def contents(rows: int, in_rows: bool = True) -> Contents:
    x = np.arange(4.0 * rows).reshape(rows, 4)
    values = rows_of(x, rows, 0) if in_rows else x
    return Contents("input", "t", {"/data/x": Variable(("row", "column"), values, "x")})


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 6 MiB."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small file system")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", tmp_path], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"no mount here: {mounted.stderr.decode().strip()}")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.parametrize("in_rows", [True, False])
# 157063 rows leave no room for the metadata that libhdf5 writes last: it used to crash there.
@pytest.mark.parametrize("rows", [125_000, 157_063, 300_000])
def test_a_full_disk_keeps_the_old_file(small_disk: Path, rows: int, in_rows: bool) -> None:
    path = small_disk / "a.h5"
    path.write_bytes(b"old")
    with pytest.raises(DataError, match=FULL):
        write_file(path, contents(rows, in_rows))
    assert [entry.name for entry in small_disk.iterdir()] == ["a.h5"]
    assert path.read_bytes() == b"old"


def test_what_fits_is_written(small_disk: Path) -> None:
    write_file(small_disk / "a.h5", contents(1000))
    with h5py.File(small_disk / "a.h5") as file:
        assert file["data/x"][-1, -1] == 3999


def failing(name: str, number: int, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let calls of `os.<name>` beyond the first `after` fail with an error number."""
    call: Callable[..., Any] = getattr(os, name)
    made = 0

    def fail(*arguments: Any) -> Any:
        nonlocal made
        made += 1
        if made > after:
            raise OSError(number, os.strerror(number))
        return call(*arguments)

    monkeypatch.setattr(os, name, fail)


@pytest.mark.parametrize("after", [0, 1, 2, 5, 10, 15])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_any_write_that_fails_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int, number: int
) -> None:
    (tmp_path / "a.h5").write_bytes(b"old")
    failing("pwrite", number, after, monkeypatch)
    with pytest.raises(DataError, match=f"cannot be written: {os.strerror(number)}; the file .* stays as it was"):
        write_file(tmp_path / "a.h5", contents(1000))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.h5"]
    assert (tmp_path / "a.h5").read_bytes() == b"old"


def test_a_disk_too_small_shows_before_the_first_row_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing("posix_fallocate", errno.ENOSPC, 0, monkeypatch)
    with pytest.raises(DataError, match=FULL):
        write_file(tmp_path / "a.h5", contents(1000))
    assert [entry.name for entry in tmp_path.iterdir()] == []


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_that_cannot_reserve_space_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    failing("posix_fallocate", number, 0, monkeypatch)
    write_file(tmp_path / "a.h5", contents(1000))
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["data/x"][:], np.arange(4000.0).reshape(1000, 4))
