"""The pytest fixture: a pretend cluster for one test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hpcjobs.testing.cluster import FakeSlurm


@pytest.fixture
def fake_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSlurm]:
    """A pretend cluster, its commands first on PATH, for as long as a test takes."""
    with FakeSlurm(tmp_path / "slurm") as cluster:
        for name, value in cluster.environment().items():
            monkeypatch.setenv(name, value)
        yield cluster
