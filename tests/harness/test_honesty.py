"""A session that ran no MPI test says so, and launchers that do not fit are found out."""

import os
import sys
import venv
from pathlib import Path

import pytest

from harness.sessions import session

PLAIN = """
def test_needs_no_ranks():
    pass
"""
RANKED = """
import pytest

@pytest.mark.mpi(ranks=2)
def test_needs_two_ranks():
    from mpi4py import MPI
    assert MPI.COMM_WORLD.size == 2

def test_needs_no_ranks():
    pass
"""
UNSIZED = """
import pytest

@pytest.mark.mpi
def test_needs_some_ranks():
    pass
"""
# Starts every rank as a world of its own, as a launcher does that does not belong to the MPI library.
SINGLETONS = """#!/bin/sh
ranks=$2; shift 2; rank=0
while [ $rank -lt $ranks ]; do PMI_RANK=$rank PMI_SIZE=$ranks "$@" & rank=$((rank + 1)); done
wait
"""


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with all our packages and no mpiexec beside it."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, symlinks=True)
    return folder / "bin" / "python"


def bare_environment() -> dict[str, str]:
    """What lets `bare_python` find our packages and MPI library, and no launcher."""
    libraries = os.pathsep.join([str(Path(sys.prefix, "lib")), os.environ.get("LD_LIBRARY_PATH", "")])
    return {"PATH": "/nowhere", "PYTHONPATH": os.pathsep.join(sys.path), "LD_LIBRARY_PATH": libraries}


def test_whole_suite_without_an_mpi_test_fails(tmp_path: Path) -> None:
    for arguments in ([], ["tests"], ["tests/"]):
        ended = session(tmp_path, PLAIN, *arguments)
        assert ended.outcomes == {"test_needs_no_ranks": ("passed", "")}
        assert ended.code == pytest.ExitCode.TESTS_FAILED
        assert "no MPI test was executed" in ended.printed


def test_a_part_of_the_suite_needs_no_mpi_test(tmp_path: Path) -> None:
    assert session(tmp_path, PLAIN, "tests/test_small.py").code == pytest.ExitCode.OK
    assert session(tmp_path, RANKED, "-k", "no_ranks").code == pytest.ExitCode.OK
    assert session(tmp_path, RANKED, "-m", "not mpi").code == pytest.ExitCode.OK
    assert session(tmp_path, RANKED, "tests/test_small.py::test_needs_no_ranks").code == pytest.ExitCode.OK


def test_whole_suite_with_an_executed_mpi_test_passes(tmp_path: Path) -> None:
    ended = session(tmp_path, RANKED)
    assert ended.code == pytest.ExitCode.OK, ended.printed
    assert ended.outcomes["test_needs_two_ranks[ranks2]"] == ("passed", "")


def test_workers_count_together(tmp_path: Path) -> None:
    assert session(tmp_path, RANKED, "--numprocesses=2").code == pytest.ExitCode.OK
    ended = session(tmp_path, PLAIN, "--numprocesses=2")
    assert ended.code == pytest.ExitCode.TESTS_FAILED
    assert "no MPI test was executed" in ended.printed


def test_without_mpiexec_mpi_tests_skip_and_the_session_fails(tmp_path: Path, bare_python: Path) -> None:
    for arguments in ([], ["tests/test_small.py"]):
        ended = session(tmp_path, RANKED, *arguments, python=str(bare_python), **bare_environment())
        outcome, text = ended.outcomes["test_needs_two_ranks[ranks2]"]
        assert outcome == "skipped"
        assert "pip install 'hpcjobs[local]'" in text
        assert ended.outcomes["test_needs_no_ranks"] == ("passed", "")
        assert ended.code == pytest.ExitCode.TESTS_FAILED
        assert "1 MPI tests were selected and none was executed: no mpiexec" in ended.printed


def test_launcher_that_starts_singletons_is_found_out(tmp_path: Path, bare_python: Path) -> None:
    launcher = bare_python.with_name("mpiexec")
    launcher.write_text(SINGLETONS)
    launcher.chmod(0o755)
    try:
        ended = session(tmp_path, RANKED, python=str(bare_python), **bare_environment())
    finally:
        launcher.unlink()
    text = ended.failure("test_needs_two_ranks[ranks2]")
    for rank in range(2):
        assert f"started as rank {rank} of 2, but the MPI library sees rank 0 of 1" in text


def test_mark_without_a_number_of_ranks_is_refused(tmp_path: Path) -> None:
    ended = session(tmp_path, UNSIZED)
    assert ended.code != pytest.ExitCode.OK
    assert "test_needs_some_ranks: write @pytest.mark.mpi(ranks=3)" in ended.printed


def test_ranks_started_by_hand_run_the_tests_of_their_number(tmp_path: Path) -> None:
    alone = session(tmp_path, RANKED, "--with-mpi")
    assert "needs 2 ranks, not 1" in alone.outcomes["test_needs_two_ranks[ranks2]"][1]
    assert alone.code == pytest.ExitCode.TESTS_FAILED
