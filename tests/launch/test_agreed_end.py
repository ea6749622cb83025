"""One rank's failure ends all ranks, soon and with one message; ranks that cannot be right do not start."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import clean_environment, hpcjobs, refused
from harness.launch import mpiexec

LIMIT_S = 30

JOB = """
import time
from typing import Annotated

import msgspec
import numpy as np

from hpcjobs.errors import DataError
from hpcjobs.parallel.communicator import on_all
from hpcjobs.settings import setting


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    mistake: Annotated[str, setting("what goes wrong on rank 1")]


def run(settings, context):
    comm = context.communicator
    if settings.mistake == "exception" and comm.rank == 1:
        raise ValueError("seven is not eight")
    if settings.mistake == "user" :
        def read():
            if comm.rank == 1:
                raise DataError("rows.h5: row 7 is bad; mend it")
        on_all(comm, read)
    if settings.mistake == "alone" and comm.rank == 1:
        raise DataError("rows.h5: row 7 is bad; mend it")
    if settings.mistake == "exit" and comm.rank == 1:
        raise SystemExit(3)
    while True:
        comm.allreduce_sum(np.ones(1, dtype=np.int64))
        time.sleep(0.01)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "wrong.py").write_text(JOB)
    return tmp_path


def launched(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`mpiexec -n 3 hpcjobs ...`, without the `-m mpi4py` that `run -n` adds."""
    argv = [str(mpiexec()), "-n", "3", sys.executable, "-m", "hpcjobs", *arguments]
    env = clean_environment(folder)
    return subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=LIMIT_S, check=False)


@pytest.mark.parametrize("started_by", ["run -n", "mpiexec"])
@pytest.mark.parametrize("mistake", ["exception", "exit"])
def test_an_exception_on_one_rank_ends_all_and_is_told_once(folder: Path, started_by: str, mistake: str) -> None:
    began = time.monotonic()
    if started_by == "run -n":
        run = ("run", "./wrong.py", "--mistake", mistake, "--out", "out", "-n", 3)
        err = hpcjobs(folder, *run, code=1).stderr
    else:
        ended = launched(folder, "run", "./wrong.py", "--mistake", mistake, "--out", "out")
        assert ended.returncode not in (0, 2, 75)
        err = ended.stderr
    assert time.monotonic() - began < LIMIT_S
    assert err.count("Traceback") == 1
    told = json.loads((folder / "out" / "outcome.json").read_text())
    expected = "rank 1: ValueError: seven is not eight" if mistake == "exception" else "rank 1: SystemExit: 3"
    assert (told["state"], told["reason"]) == ("failed", expected)
    assert told["attempts"][-1]["reason"] == f"failed: {expected}"


@pytest.mark.parametrize("started_by", ["run -n", "mpiexec"])
def test_a_users_mistake_found_by_one_rank_is_told_once(folder: Path, started_by: str) -> None:
    if started_by == "run -n":
        message = refused(folder, "run", "./wrong.py", "--mistake", "user", "--out", "out", "-n", 3)
        assert message == "rows.h5: row 7 is bad; mend it"
    else:
        ended = launched(folder, "run", "./wrong.py", "--mistake", "user", "--out", "out")
        assert ended.returncode == 2
        assert ended.stderr.count("rows.h5: row 7 is bad; mend it") == 1
        assert "Traceback" not in ended.stderr
    told = json.loads((folder / "out" / "outcome.json").read_text())
    assert (told["exit_code"], told["reason"]) == (2, "rows.h5: row 7 is bad; mend it")
    assert not (folder / "out" / "lease").exists()


def test_a_mistake_that_one_rank_keeps_to_itself_ends_all(folder: Path) -> None:
    began = time.monotonic()
    err = hpcjobs(folder, "run", "./wrong.py", "--mistake", "alone", "--out", "out", "-n", 3, code=1).stderr
    assert time.monotonic() - began < LIMIT_S
    assert "rank 1 alone: rows.h5: row 7 is bad; mend it" in err
    assert "rank 1 alone" in json.loads((folder / "out" / "outcome.json").read_text())["reason"]


def test_singletons_are_refused_before_anything_is_written(folder: Path) -> None:
    env = {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "0"}
    message = refused(folder, "run", "./wrong.py", "--mistake", "none", env=env)
    assert "started 4 processes, but each sees an MPI world of 1" in message
    assert "--mpi=pmi2" in message
    assert not (folder / "runs").exists()


def test_ranks_are_not_started_inside_ranks(folder: Path) -> None:
    ended = launched(folder, "run", "./wrong.py", "--mistake", "none", "-n", "2")
    assert ended.returncode == 2
    assert ended.stderr.count("has already started 3 ranks; leave -n out") == 1


def test_a_crowd_of_blas_threads_is_refused(folder: Path) -> None:
    message = refused(folder, "run", "./wrong.py", "--mistake", "none", "-n", 3, env={"OPENBLAS_NUM_THREADS": "64"})
    assert "BLAS threads" in message
    assert "unset OPENBLAS_NUM_THREADS" in message
