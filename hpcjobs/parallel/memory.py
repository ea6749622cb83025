"""How much memory is left to this process: what the machine, Slurm, its control group and other ranks leave."""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from hpcjobs.parallel.communicator import Communicator

SHARE = 0.8  # of what is left may be planned with
MIB = 2**20
# What a control group calls its limit, its use, and the cached pages in it that it can drop: versions 2 and 1.
VERSION_2 = ("memory.max", "memory.current", r"^inactive_file (\d+)$")
VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", r"^total_inactive_file (\d+)$")
# Without a limit, version 1 gives the largest whole number of pages below 2^63.
NO_LIMIT = 2**60


def free_memory(communicator: Communicator) -> int:
    """Bytes that each rank may use: 80 % of what is free on its node, in equal parts; the least of all. Collective."""
    node = os.uname().nodename
    ranks = communicator.allgather_object(node).count(node)
    left = limits().values() or (os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES"),)
    return int(min(communicator.allgather_object(SHARE * min(left) / ranks)))


def limits(root: Path = Path("/"), environment: Mapping[str, str] = os.environ) -> dict[str, int]:
    """Bytes that each limit leaves, by whose it is; a limit that nobody tells does not count.

    `root` is where proc and sys lie.
    """
    found = {
        "the machine": machine(root, "MemAvailable"),
        "Slurm": of_slurm(environment),
        "cgroup": min(_of_groups(root), default=None),
    }
    return {name: left for name, left in found.items() if left is not None}


def machine(root: Path, name: str) -> int | None:
    """A line of /proc/meminfo in bytes."""
    with contextlib.suppress(OSError):
        found = re.search(rf"^{name}: *(\d+) kB$", (root / "proc/meminfo").read_text(), re.MULTILINE)
        return 1024 * int(found[1]) if found else None
    return None


def of_slurm(environment: Mapping[str, str]) -> int | None:
    """What the job around us was given on this node, in MiB there; None where that is the whole node, or no job is."""
    given = (environment.get(f"SLURM_{name}", "") for name in ("MEM_PER_NODE", "MEM_PER_CPU", "CPUS_ON_NODE"))
    node, each, cpus = (int(value) if value.isdecimal() else 0 for value in given)
    return (node or each * cpus) * MIB or None


def _of_groups(root: Path) -> Iterator[int]:
    """What our control group and those around it leave."""
    with contextlib.suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, name = line.split(":", 2)
            if controllers in ("", "memory"):
                top = root / "sys/fs/cgroup" / controllers
                group = top / name.lstrip("/")
                for folder in (group, *(parent for parent in group.parents if parent.is_relative_to(top))):
                    yield from left_in(folder, VERSION_1 if controllers else VERSION_2)


def left_in(folder: Path, names: tuple[str, str, str]) -> Iterator[int]:
    """What one control group leaves, if it has a limit at all."""
    limit, used, droppable = names
    with contextlib.suppress(OSError, ValueError):
        most, taken = (int((folder / name).read_text()) for name in (limit, used))
        statistics = ""
        with contextlib.suppress(OSError):
            statistics = (folder / "memory.stat").read_text()
        cached = re.search(droppable, statistics, re.MULTILINE)
        if most < NO_LIMIT:
            yield max(0, most - taken + (int(cached[1]) if cached else 0))
