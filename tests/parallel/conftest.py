"""A process that no launcher has touched."""

import os

import pytest

LAUNCHERS = ("PMI_", "PMIX_", "OMPI_", "SLURM_", "MPI_LOCAL")


@pytest.fixture
def plain_shell(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment without a word of any launcher; set through it what one would say."""
    for name in os.environ:
        if name.startswith(LAUNCHERS):
            monkeypatch.delenv(name)
    return monkeypatch
