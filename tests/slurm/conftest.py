"""Tests on a real Slurm: `make test-slurm` starts it; anywhere else they skip."""

import os
import pwd
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import DATA, LONG, OPEN_MPI, SHORT, USER, Slurm
from command import hpcjobs, story


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Slurm:
    """Root with MPICH: srun starts the ranks by PMI2."""
    if "HPCJOBS_TEST_SLURM" not in os.environ:
        pytest.skip("needs a Slurm cluster: make test-slurm (root, Debian)")
    folder = tmp_path_factory.mktemp("slurm")
    hpcjobs(folder, "data", "generate", "blobs", "b.h5", *DATA)
    wishes = {"short": SHORT, "long": (*LONG, "--restarts", 4), "limit": (*LONG, "--restarts", 12)}
    for name, wish in wishes.items():
        hpcjobs(folder, "run", "kmeans", *wish, "--out", f"local-{name}")
    set_up(folder, Path(sys.executable))
    digests = {name: str(story(folder, f"local-{name}")["digest"]) for name in wishes}
    return Slurm(folder, Path(sys.executable), "root", digests)


@pytest.fixture(scope="session")
def ordinary_or_why(slurm: Slurm) -> Iterator[Slurm | str]:
    """An ordinary user with Open MPI, or why there is none: srun starts the ranks by PMIx."""
    try:
        entry = pwd.getpwnam(USER)
    except KeyError:
        yield f"there is no user {USER}: SC_USER={USER} docker/slurm/cluster.sh up makes one"
        return
    folder = Path(tempfile.mkdtemp(prefix="hpcjobs-slurm-"))  # pytest's own folders are private to root
    made = Slurm(folder, OPEN_MPI, USER, slurm.local)
    shutil.copy(slurm.folder / "b.h5", folder)
    set_up(folder, OPEN_MPI)
    for path in (folder, *folder.iterdir()):
        os.chown(path, entry.pw_uid, entry.pw_gid)
    try:
        # Four jobs at once would each compile the kernels for this user, for longer than a test waits.
        ended = made.call(OPEN_MPI, "-m", "hpcjobs", "run", "kmeans", *SHORT, "--out", "local", limit_s=300)
        yield made if ended.returncode == 0 else f"{USER} cannot use {OPEN_MPI}: {ended.stderr.splitlines()[-1]}"
    except OSError as error:
        yield f"{USER} cannot use {OPEN_MPI}: {error.strerror}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def ordinary(ordinary_or_why: Slurm | str) -> Slurm:
    """An ordinary user with Open MPI; the test skips, and says why, where there is none."""
    if isinstance(ordinary_or_why, str):
        pytest.skip(ordinary_or_why)
    return ordinary_or_why


@pytest.fixture(scope="session")
def everyone(slurm: Slurm, ordinary_or_why: Slurm | str) -> list[Slurm]:
    """Root, and the ordinary user where there is one: what hurts is done to both at once."""
    return [slurm] if isinstance(ordinary_or_why, str) else [slurm, ordinary_or_why]


def set_up(folder: Path, python: Path) -> None:
    """What a user writes once: the Python that has hpcjobs."""
    (folder / "site.sh").write_text(f"export HPCJOBS_PYTHON={python}\n")
