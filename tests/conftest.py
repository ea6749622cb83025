"""What every test may use."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hpcjobs.parallel.communicator import Communicator

pytest_plugins = ["harness.plugin", "harness.honesty"]


@pytest.fixture
def communicator() -> "Communicator":
    """All ranks of this test: over MPI in a test marked `mpi`, else the serial one."""
    from hpcjobs.parallel.starter import world

    return world()
