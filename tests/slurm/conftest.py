"""Tests on a real Slurm: `make test-slurm` starts it; anywhere else they skip."""

import os

import pytest
from cluster import DATA, LONG, SHORT, Slurm
from command import hpcjobs


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Slurm:
    if "HPCJOBS_TEST_SLURM" not in os.environ:
        pytest.skip("needs a Slurm cluster: make test-slurm (root, Debian)")
    folder = tmp_path_factory.mktemp("slurm")
    hpcjobs(folder, "data", "generate", "blobs", "b.h5", *DATA)
    hpcjobs(folder, "run", "kmeans", *SHORT, "--out", "short")
    hpcjobs(folder, "run", "kmeans", *LONG, "--restarts", 240, "-n", 2, "--out", "long")
    return Slurm(folder)
