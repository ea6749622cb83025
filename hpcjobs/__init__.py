"""Distributed jobs for Slurm and MPI clusters."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpcjobs.api.handle import Run, RunFailed
    from hpcjobs.api.kmeans import KMeans
    from hpcjobs.api.runs import attach, run, submit

__version__ = "0.1.0"
__all__ = ["KMeans", "Run", "RunFailed", "attach", "run", "submit"]

_HOMES = {
    "KMeans": "hpcjobs.api.kmeans",
    "Run": "hpcjobs.api.handle",
    "RunFailed": "hpcjobs.api.handle",
    "attach": "hpcjobs.api.runs",
    "run": "hpcjobs.api.runs",
    "submit": "hpcjobs.api.runs",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for, when it is asked for: importing hpcjobs loads none of it."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'hpcjobs' has no attribute {name!r}")
