"""What cgroups leave to this process, of either version: the tightest limit on the way up counts."""

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
