"""A name for each cluster, under which what its Slurm told us is kept between commands."""

import hashlib
import os
import shutil
from pathlib import Path

CONFIGURATIONS = ("/run/slurm/conf/slurm.conf", "/etc/slurm/slurm.conf", "/etc/slurm-llnl/slurm.conf")
TELLING = ("clustername", "slurmctldhost", "controlmachine")


def cluster_key() -> str:
    """A short name for the cluster that our commands ask: login nodes of several clusters may share one home."""
    named = [os.environ.get(name, "") for name in ("SLURM_CONF", "SLURM_CLUSTERS")]
    commands = shutil.which("squeue") or ""  # a pretend cluster is on PATH, and another one at every start
    told = "\0".join([*named, str(Path(commands).parent), *_controllers(named[0])])
    return hashlib.sha256(os.fsencode(told)).hexdigest()[:8]


def _controllers(configuration: str) -> list[str]:
    """The lines of slurm.conf that name the cluster, as far as it can be read here."""
    for path in [configuration] if configuration else CONFIGURATIONS:
        try:
            lines = Path(path).read_text(errors="replace").splitlines()
        except OSError:
            continue
        return [line.strip() for line in lines if line.strip().lower().startswith(TELLING)]
    return []
