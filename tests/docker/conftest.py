"""Images are built on a bare Debian root by `make test-docker`: root, Debian; anywhere else these tests skip."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker.image import Builder, debootstrap
from docker.machine import mirror, registry

RELEASE = "bookworm"


@pytest.fixture(scope="session")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    if "HPCJOBS_TEST_DOCKER" not in os.environ:
        pytest.skip("builds images for minutes: make test-docker (root, Debian)")
    if os.geteuid() != 0:
        pytest.skip("needs root, to change into another root")
    if shutil.which("debootstrap") is None or shutil.which("apt-get") is None:
        pytest.skip("needs debootstrap: apt-get install debootstrap")
    address = mirror()
    if address is None:
        pytest.skip("apt here knows no mirror of Debian; after apt-get update it may")
    folder = tmp_path_factory.mktemp("images")
    yield Builder(debootstrap(folder / "debian", RELEASE, address), folder, registry())
    shutil.rmtree(folder)


@pytest.fixture
def checkout() -> Path:
    return Path(__file__).parents[2]
