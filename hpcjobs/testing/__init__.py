"""A pretend cluster to test against: `FakeSlurm` runs batch scripts on this machine, and breaks them when told to.

from hpcjobs.testing import fake_slurm  # in a conftest.py: a pytest fixture
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpcjobs.testing.cluster import FakeSlurm as FakeSlurm
    from hpcjobs.testing.fixture import fake_slurm as fake_slurm

__all__ = ["FakeSlurm", "fake_slurm"]
HOMES = {"FakeSlurm": "hpcjobs.testing.cluster", "fake_slurm": "hpcjobs.testing.fixture"}


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(HOMES[name]), name)
