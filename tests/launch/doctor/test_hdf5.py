"""An HDF5 library that is not the one h5py was built with, variables that change it, and a file that must come back."""

import os
from pathlib import Path

import pytest

from hpcjobs.errors import DataError
from hpcjobs.launch.doctor import hdf5
from hpcjobs.launch.doctor._finding import OK, PROBLEM, WARNING, Machine


@pytest.mark.parametrize(
    ("built", "running", "verdict"),
    [
        ((1, 14, 6), (1, 14, 6), OK),
        ((1, 14, 4), (1, 14, 6), WARNING),
        ((1, 12, 2), (1, 14, 6), PROBLEM),
        ((1, 14, 6), (2, 0, 0), PROBLEM),
    ],
)
def test_a_library_that_h5py_was_not_built_with_is_told_of(
    built: tuple[int, ...], running: tuple[int, ...], verdict: str
) -> None:
    found = hdf5.judge_versions("3.14.0", built, running, parallel=False)
    assert found.verdict == verdict
    assert ("was built against" in found.found) == (verdict != OK)
    assert ("h5py" in found.fix) == (verdict != OK)


def test_an_h5py_that_does_not_load_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "h5py.py").write_text("raise ImportError('libhdf5.so.310: cannot open')\n")
    found = hdf5.versions(Machine(tmp_path, environment=os.environ | {"PYTHONPATH": str(tmp_path)}))
    assert found.verdict == PROBLEM
    assert "libhdf5.so.310: cannot open" in found.found


@pytest.mark.parametrize(
    ("environment", "verdict", "fix"),
    [
        ({}, OK, ""),
        ({"HDF5_USE_FILE_LOCKING": "FALSE"}, OK, ""),
        ({"HDF5_USE_FILE_LOCKING": "TRUE"}, WARNING, "unset HDF5_USE_FILE_LOCKING"),
        ({"HDF5_USE_FILE_LOCKING": "best_effort"}, WARNING, "unset HDF5_USE_FILE_LOCKING"),
        ({"HDF5_DRIVER": "mpio"}, WARNING, "unset HDF5_DRIVER"),
        ({"HDF5_DISABLE_VERSION_CHECK": "2"}, WARNING, "unset HDF5_DISABLE_VERSION_CHECK"),
        ({"HDF5_PLUGIN_PATH": "/opt/plugins"}, OK, ""),
    ],
)
def test_variables_that_change_hdf5_are_named(
    tmp_path: Path, environment: dict[str, str], verdict: str, fix: str
) -> None:
    found = hdf5.settings(Machine(tmp_path, environment=environment))
    assert (found.verdict, found.fix) == (verdict, fix)
    assert "HDF5_PLUGIN_PATH" not in environment or "HDF5_PLUGIN_PATH=/opt/plugins is not heeded" in found.found


def test_a_tiny_file_comes_back_and_nothing_is_left(tmp_path: Path) -> None:
    assert hdf5.file(Machine(tmp_path)).verdict == OK
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_does_not_come_back_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "h5py.py").write_text("raise ImportError('libhdf5 is not there')\n")
    found = hdf5.file(Machine(tmp_path, environment=os.environ | {"PYTHONPATH": str(tmp_path / "code")}))
    assert found.verdict == PROBLEM
    assert "libhdf5 is not there" in found.found
    assert [path.name for path in tmp_path.iterdir()] == ["code"]


def test_a_folder_that_takes_no_files_is_named() -> None:
    with pytest.raises(DataError, match="/proc: nothing can be made there"):
        hdf5.file(Machine(Path("/proc")))
