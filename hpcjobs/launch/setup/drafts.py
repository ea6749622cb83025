"""The texts of `hpcjobs setup`: site.sh, site.toml, and what it tells of its findings."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hpcjobs.launch.setup.probing import Library
from hpcjobs.launch.setup.trial import Trial
from hpcjobs.launch.slurm.limits import clock
from hpcjobs.launch.slurm.partitions import Partition

MODULES = """if ! command -v module >/dev/null && [ -r "${{MODULESHOME:-/usr/share/modules}}/init/bash" ]; then
  source "${{MODULESHOME:-/usr/share/modules}}/init/bash"
fi
module load {modules}
"""
NODE_CACHE = """# The nodes cannot write the usual place of compiled code: each job gets its own on the node's disk.
NUMBA_CACHE_DIR=$(mktemp -d "${TMPDIR:-/tmp}/hpcjobs-numba-XXXXXXXX")
export NUMBA_CACHE_DIR
"""
# For nodes that do not see this environment: they often have no internet either.
BRING = """    on the login node:   pip wheel -w wheelhouse '.[local]'   (in the checkout)
    where nodes see it:  python3 -m venv ENV && ENV/bin/pip install --no-index --find-links wheelhouse 'hpcjobs[local]'
  or unpack a packed environment once on each node, from site.sh; or use a container: docs/site.md shows each."""


@dataclass(frozen=True)
class Findings:
    """What was found about the site; the JSON of `hpcjobs setup --json`."""

    python: str
    mpi_library: str
    mpi_problem: str
    srun_types: list[str]
    mpi: str  # what starts the ranks
    tried: bool  # whether a job has shown it
    partitions: list[dict[str, Any]]
    accounts: list[str]
    gpus: list[str]
    scratch: list[dict[str, Any]]
    modules: list[str]
    trial: Trial | None
    problems: list[str]
    written: list[str]
    kept: list[str]


def site_sh(python: str, mpi: str, modules: Sequence[str], cache: str | None) -> bytes:
    """Set-up of jobs, as bash; `cache` is where compiled code goes, "" for the node's own disk, None for the usual."""
    lines = [
        "# Set-up of jobs on this cluster, read by hpcjobs' scripts. Written by `hpcjobs setup`; yours to edit.\n",
        MODULES.format(modules=" ".join(shlex.quote(name) for name in modules)) if modules else "",
        "# The Python of jobs that are sent by hand; `hpcjobs submit` names its own.\n",
        f"export HPCJOBS_PYTHON={shlex.quote(python)}\n",
        f"# What starts the ranks: srun --mpi=..., or mpiexec.\nexport HPCJOBS_MPI={shlex.quote(mpi)}\n" if mpi else "",
    ]
    if cache == "":
        lines.append(NODE_CACHE)
    elif cache is not None:
        lines.append(
            f"# Compiled code: a place that the nodes can write.\nexport NUMBA_CACHE_DIR={shlex.quote(cache)}\n"
        )
    return "".join(lines).encode()


def site_toml(
    mpi: str, partition: str | None, account: str | None, partitions: Sequence[str], accounts: Sequence[str]
) -> bytes:
    """Defaults of `hpcjobs submit`."""
    lines = [
        "# Defaults of `hpcjobs submit` on this cluster. Written by `hpcjobs setup`; yours to edit.",
        f"mpi = {json.dumps(mpi)}",
        "",
        "# Any option of submit may have a default here; flags win.",
        "[resources]",
    ]
    for name, value, known in (("partition", partition, partitions), ("account", account, accounts)):
        if value:
            lines.append(f"{name} = {json.dumps(value)}")
        elif known:
            lines.append(f"# {name} = {json.dumps(known[0])}  # there are: {', '.join(known)}")
    return ("\n".join(lines) + "\n").encode()


def numba_cache(told: Trial, usual: str) -> str | None:
    """Where compiled code shall go: None where the usual place does, "" for the node's own disk."""
    if usual in told.writable:
        return None
    return f"{told.writable[0]}/.hpcjobs-numba" if told.writable else ""


def problems(library: Library, types: Sequence[str], known: Sequence[Partition], told: Trial | None) -> list[str]:
    """What is missing, each with what to do."""
    found = []
    if not library.name:
        found.append(
            f"no MPI library loads ({library.problem}): load the site's MPI module, or pip install 'hpcjobs[local]', "
            "then run setup again"
        )
    if not known:
        found.append("sinfo does not tell the partitions: limits are not checked before a job is sent")
    if told is None:
        if library.name and not types:
            found.append("srun does not tell what --mpi= takes")
        return found
    if not told.python:
        said = told.problems.get("python", "")
        found.append(
            f"node {told.node} does not run this Python ({said or 'it is not there'}); bring it to a folder that the "
            f"nodes see:\n{BRING}"
        )
    elif not told.way:
        tries = "; ".join(f"{way}: {said}" for way, said in told.problems.items())
        found.append(f"two ranks did not find each other ({tries}): load the MPI module that fits this Python's mpi4py")
    if not told.home_is_shared:
        found.append("the nodes do not see your home: keep runs where they do, with --out or HPCJOBS_RUNS")
    return found


def report(found: Findings) -> list[str]:
    """What was found, for people."""
    facts = [
        ("python", found.python),
        ("MPI library", found.mpi_library or "none"),
        ("srun --mpi", ", ".join(found.srun_types) or "nothing"),
        ("ranks start by", f"{found.mpi} ({'tried' if found.tried else 'not tried'})" if found.mpi else "nothing"),
    ]
    for one in found.partitions:
        limit = clock(one["minutes"]) if one["minutes"] is not None else "no limit"
        graphics = "".join(f", {count} {kind or 'GPUs'}" for kind, count in one["gpus"].items())
        usual = " (default)" if one["default"] else ""
        state = "" if one["state"] == "up" else f" [{one['state']}]"
        size = f"{one['nodes']} nodes of up to {one['cpus']} CPUs, {one['memory_mib']} MiB{graphics}; time: {limit}"
        facts.append(("partition", f"{one['name']}{usual}{state}: {size}"))
    facts.append(("accounts", ", ".join(found.accounts) or "none told"))
    facts += [("scratch", f"{place['path']} ({place['free_gib']} GiB free)") for place in found.scratch]
    if found.modules:
        facts.append(("modules", " ".join(found.modules)))
    if found.trial:
        shared = "seen" if found.trial.home_is_shared else "NOT seen"
        where = ", ".join(found.trial.hosts) or found.trial.node
        facts.append(("trial job", f"{found.trial.job_id} on {where}; your home is {shared} there"))
    lines = [f"{name:<16}{value}" for name, value in facts]
    return lines + [f"{'missing':<16}{problem}" for problem in found.problems]
