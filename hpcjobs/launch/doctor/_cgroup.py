"""What cgroups leave to this process, of either version: the tightest limit on the way up counts."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from hpcjobs.launch.doctor._finding import Machine


def cpus(machine: Machine) -> float | None:
    """How many cores' worth of time we may use; None without a quota."""
    found = []
    for folder in _folders(machine, "cpu"):
        quota, _, period = machine.text(folder, "cpu.max").strip().partition(" ")
        if not quota:
            quota, period = (machine.text(folder, f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
        if quota.isdigit() and period.isdigit() and int(period):
            found.append(int(quota) / int(period))
    return min(found, default=None)


def memory_left(machine: Machine) -> int | None:
    """Bytes that may still be used; files that were read count as used, but are given back. None without a limit."""
    found = []
    for folder in _folders(machine, "memory"):
        for limit, usage, cached in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            most, used = (machine.text(folder, name).strip() for name in (limit, usage))
            # Without a limit, version 1 gives the largest whole number of pages below 2^63.
            if most.isdigit() and used.isdigit() and int(most) < 2**60:
                found.append(int(most) - int(used) + _statistic(machine.text(folder, "memory.stat"), cached))
    return min(found, default=None)


def _statistic(text: str, name: str) -> int:
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            with contextlib.suppress(ValueError):
                return int(value)
    return 0


def _folders(machine: Machine, controller: str) -> Iterator[str]:
    """The folders of our cgroup and of those around it, below the root of the machine."""
    for line in machine.text("proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if names and controller not in names.split(","):
            continue
        base = Path("sys/fs/cgroup") / (controller if names else "")
        own = base / path.strip("/")
        yield from (str(folder) for folder in (own, *own.parents) if folder.is_relative_to(base))
