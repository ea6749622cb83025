"""How much memory is left to this process: what the machine, its control group and the other ranks here leave."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from hpcjobs.parallel.communicator import Communicator

SHARE = 0.8
# What a control group calls its limit, its use, and the cached pages in it that it can drop: versions 2 and 1.
VERSION_2 = ("memory.max", "memory.current", r"^inactive_file (\d+)$")
VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", r"^total_inactive_file (\d+)$")


def free_memory(communicator: Communicator) -> int:
    """Bytes that each rank may use: 80 % of what is free on its node, in equal parts; the least of all. Collective."""
    node = os.uname().nodename
    ranks = communicator.allgather_object(node).count(node)
    return int(min(communicator.allgather_object(SHARE * min(_left()) / ranks)))


def _left() -> Iterator[int]:
    """What each limit leaves; a limit that nobody tells does not count."""
    found = re.search(r"^MemAvailable: *(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    yield 1024 * int(found[1]) if found else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    yield from _given_by_slurm()
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, name = line.split(":", 2)
            if controllers in ("", "memory"):
                root = Path("/sys/fs/cgroup") / controllers
                group = root / name.lstrip("/")
                for folder in (group, *(parent for parent in group.parents if parent.is_relative_to(root))):
                    yield from _left_in(folder, VERSION_1 if controllers else VERSION_2)


def _given_by_slurm() -> Iterator[int]:
    """What the job was given on this node, in MiB there; 0 is the whole node."""
    given = {name: os.environ.get(f"SLURM_{name}", "") for name in ("MEM_PER_NODE", "MEM_PER_CPU", "CPUS_ON_NODE")}
    number = {name: int(value) if value.isdecimal() else 0 for name, value in given.items()}
    most = number["MEM_PER_NODE"] or number["MEM_PER_CPU"] * number["CPUS_ON_NODE"]
    if most:
        yield most * 2**20


def _left_in(folder: Path, names: tuple[str, str, str]) -> Iterator[int]:
    """What one control group leaves, if it has a limit at all."""
    limit, used, droppable = names
    with contextlib.suppress(OSError, ValueError):
        cached = re.search(droppable, (folder / "memory.stat").read_text(), re.MULTILINE)
        taken = int((folder / used).read_text()) - (int(cached[1]) if cached else 0)
        yield max(0, int((folder / limit).read_text()) - taken)
