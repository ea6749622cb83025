"""Clusters to test against: a pretended one for each test, or, with HPCJOBS_TEST_SLURM, the real one."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from testing.site import Site, real

from hpcjobs.testing import FakeSlurm

MINUTE_S = 3.0


@pytest.fixture
def pretend(tmp_path: Path) -> Iterator[FakeSlurm]:
    """A pretended cluster with short minutes."""
    with FakeSlurm(tmp_path / "slurm", minute=MINUTE_S, kill_wait=0.6, requeue_delay=0.1) as cluster:
        yield cluster


@pytest.fixture
def site(tmp_path: Path, pretend: FakeSlurm) -> Site:
    """The pretended cluster, as a user sees it."""
    folder = tmp_path / "work"
    folder.mkdir()
    return Site(folder, pretend.environment(), MINUTE_S)


@pytest.fixture
def slurm(tmp_path: Path, request: pytest.FixtureRequest) -> Site:
    """Whichever cluster there is: what is tested on it holds for a real Slurm as well."""
    if "HPCJOBS_TEST_SLURM" in os.environ:
        return real(tmp_path)
    found: Site = request.getfixturevalue("site")
    return found
