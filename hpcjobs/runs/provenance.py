"""Where a file comes from: settings, software, machine, inputs and attempts, as plain data sets."""

import functools
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hpcjobs.data.schema import Variable, text, texts

PACKAGES = (
    "hpcjobs",
    "numpy",
    "scipy",
    "numba",
    "llvmlite",
    "h5py",
    "mpi4py",
    "mpich",
    "threadpoolctl",
    "xxhash",
)
SLURM = (
    "SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_RESTART_COUNT", "SLURM_CLUSTER_NAME",
    "SLURM_JOB_PARTITION", "SLURM_JOB_NUM_NODES", "SLURM_NTASKS", "SLURM_NTASKS_PER_NODE", "SLURM_CPUS_PER_TASK",
    "SLURM_GPUS_ON_NODE",
)  # fmt: skip
# Version of our own arithmetic: raised when a change of ours may change bits.
NUMERICS = "4"


def provenance(
    settings: Mapping[str, Any],
    census: Sequence[Mapping[str, Any]],
    inputs: Sequence[Mapping[str, Any]],
    attempts: Sequence[Mapping[str, Any]],
    mpi: str,
) -> dict[str, Variable]:
    """The `/provenance` data sets."""
    software = _software()
    slurm = {name: os.environ[name] for name in SLURM if name in os.environ}
    found = {
        "/provenance/settings": Variable((), text(json.dumps(settings, sort_keys=True)), "settings in force, as JSON"),
        "/provenance/command": Variable((), text(json.dumps(sys.argv)), "command of this rank 0, as JSON"),
        "/provenance/numerics": Variable(
            (), text(json.dumps(fingerprint(census), sort_keys=True)), "numerics fingerprint"
        ),
        "/provenance/mpi": Variable((), text(mpi), "MPI library"),
        "/provenance/git": Variable((), text(_git()), "git commit of the hpcjobs checkout, if it is one"),
        "/provenance/system": Variable(
            (), text(f"{platform.platform()}, Python {platform.python_version()}"), "system"
        ),
        "/provenance/slurm": Variable((), text(json.dumps(slurm, sort_keys=True)), "Slurm's own account, as JSON"),
        "/provenance/software/package": Variable(("package",), texts(software), "distribution"),
        "/provenance/software/version": Variable(("package",), texts(software.values()), "its version"),
    }
    found |= _columns("/provenance/ranks", "rank", census, ("host", "pid", "blas", "blas_threads", "processor"))
    found |= _columns("/provenance/inputs", "input", inputs, ("name", "rows", "digest", "size", "modified"))
    found |= _columns(
        "/provenance/attempts",
        "attempt",
        attempts,
        ("job_id", "ranks", "nodes", "started", "ended", "first_step", "last_step", "reason"),
    )
    return found


def fingerprint(census: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What trained floating-point weights may depend on; certified results do not."""
    versions = _software()
    return {
        "numerics": NUMERICS,
        "libraries": {name: versions.get(name, "") for name in ("numpy", "scipy", "numba")},
        "blas": sorted({str(entry["blas"]) for entry in census}),
        "processor": sorted({str(entry["processor"]) for entry in census}),
        "device": "cpu",
    }


def _columns(
    group: str, dimension: str, rows: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> dict[str, Variable]:
    """A table as one data set a column."""
    if not rows:
        return {}
    found = {}
    for name in names:
        values = [row[name] for row in rows]
        numbers = all(isinstance(value, int) for value in values)
        column = np.array(values, dtype=np.int64) if numbers else texts(str(value) for value in values)
        found[f"{group}/{name}"] = Variable((dimension,), column, name.replace("_", " "))
    return found


@functools.cache
def _software() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def _git() -> str:
    checkout = Path(__file__).resolve().parents[2]
    if not (checkout / ".git").exists():
        return "not a checkout"
    argv = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        return subprocess.run(argv, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
