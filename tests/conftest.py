"""What every test may use."""

import os
from typing import TYPE_CHECKING

import pytest

from hpcjobs.__main__ import numba_cache

if TYPE_CHECKING:
    from hpcjobs.parallel.communicator import Communicator

# Kernels are kept by their sources, as a run keeps them: Numba itself looks at the file of each function only.
os.environ.setdefault("NUMBA_CACHE_DIR", str(numba_cache()))

pytest_plugins = ["harness.plugin", "harness.honesty"]


@pytest.fixture
def communicator() -> "Communicator":
    """All ranks of this test: over MPI in a test marked `mpi`, else the serial one."""
    from hpcjobs.parallel.starter import world

    return world()
