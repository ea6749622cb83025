"""Old or small Pythons, foreign packages, and kernels that are not compiled or not kept."""

import os
from pathlib import Path

import pytest

from hpcjobs.launch.doctor import python
from hpcjobs.launch.doctor._finding import OK, PROBLEM, WARNING, Machine


@pytest.mark.parametrize(
    ("version", "bits", "foreign", "verdict", "fix"),
    [
        ((3, 11, 0), 64, {}, OK, ""),
        ((3, 14, 1), 64, {}, OK, ""),
        ((3, 10, 9), 64, {}, PROBLEM, "python3.12 -m venv ENV"),
        ((3, 12, 0), 32, {}, PROBLEM, "python3.12 -m venv ENV"),
        ((3, 12, 0), 64, {"PYTHONPATH": "/a b"}, WARNING, "unset PYTHONPATH"),
    ],
)
def test_the_verdict_on_a_python(
    version: tuple[int, ...], bits: int, foreign: dict[str, str], verdict: str, fix: str
) -> None:
    found = python.judge(version, bits, "somewhere", foreign)
    assert (found.verdict, found.fix) == (verdict, fix)
    assert f"{bits} bit" in found.found


def test_variables_that_bring_foreign_packages_are_named(tmp_path: Path) -> None:
    found = python.interpreter(Machine(tmp_path, environment={"PYTHONPATH": "/a b", "PYTHONHOME": "/c"}))
    assert "PYTHONHOME=/c PYTHONPATH='/a b'" in found.found
    assert found.fix == "unset PYTHONHOME PYTHONPATH"


def machine(folder: Path, **extra: str) -> Machine:
    return Machine(folder, environment=os.environ | {"NUMBA_CACHE_DIR": str(folder)} | extra)


@pytest.mark.parametrize(
    ("extra", "words", "fix"),
    [
        ({"NUMBA_CACHE_DIR": "/proc/none"}, "cannot be written", "export NUMBA_CACHE_DIR=${TMPDIR:-/tmp}/numba-$USER"),
        ({"NUMBA_DISABLE_JIT": "1"}, "not compiled", "unset NUMBA_DISABLE_JIT"),
        ({"HPCJOBS_KERNELS": "reference"}, "HPCJOBS_KERNELS=reference", "unset HPCJOBS_KERNELS"),
    ],
)
def test_kernels_that_are_slow_are_told_of(tmp_path: Path, extra: dict[str, str], words: str, fix: str) -> None:
    found = python.numba(machine(tmp_path, **extra))
    assert (found.verdict, found.fix) == (WARNING, fix)
    assert words in found.found


def test_a_numba_that_does_not_load_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "numba.py").write_text("raise ImportError('Numba needs NumPy 2.2 or less')\n")
    found = python.numba(machine(tmp_path, PYTHONPATH=str(tmp_path)))
    assert found.verdict == PROBLEM
    assert "Numba needs NumPy 2.2 or less" in found.found
    assert "pip install --upgrade numba numpy" in found.fix


def test_a_cache_is_writable_where_its_nearest_folder_is(tmp_path: Path) -> None:
    assert python.writable(tmp_path / "not" / "yet")
    assert not python.writable(Path("/proc/not/yet"))
    assert list(tmp_path.iterdir()) == []
