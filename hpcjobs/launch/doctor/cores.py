"""Cores and memory: what the affinity mask, cgroups and Slurm leave of what the machine has."""

import re

from hpcjobs.launch.doctor import _cgroup
from hpcjobs.launch.doctor._finding import OK, PROBLEM, WARNING, Finding, Machine
from hpcjobs.parallel.memory import MIB, SHARE, limits
from hpcjobs.parallel.memory import machine as of_machine

PLACE = 50
LEAST_MIB = 256
FEW_MIB = 1024


def cores(machine: Machine) -> Finding:
    """One core a rank is what runs are made for."""
    there = len(re.findall(r"^processor\s*:", machine.text("proc/cpuinfo"), re.MULTILINE))
    quota = _cgroup.cpus(machine)
    usable = machine.cores if quota is None else min(machine.cores, quota)
    found = f"{machine.cores} of {max(there, machine.cores)} by the affinity mask"
    if quota is not None:
        found += f", time of {quota:.3g} by cgroup"
    if machine.ranks > usable:
        fits = max(1, int(usable))
        why = f"{found}: {machine.ranks} ranks share them, and each is slower than one alone"
        return Finding(WARNING, why, f"hpcjobs doctor -n {fits}")
    return Finding(OK, found)


def memory(machine: Machine) -> Finding:
    """What each rank may take."""
    known = limits(machine.root, machine.environment)
    if not known:
        return Finding(WARNING, "the system does not tell", "free -m")
    by, left = min(known.items(), key=lambda item: item[1])
    installed = of_machine(machine.root, "MemTotal") or left
    each = SHARE * max(0, left) / machine.ranks
    found = f"{left // MIB} MiB left by {by}, of {installed // MIB} MiB; {each / MIB:.0f} MiB a rank"
    if each < FEW_MIB * MIB:
        fits = max(1, int(SHARE * max(0, left) / (FEW_MIB * MIB)))
        fix = f"hpcjobs doctor -n {fits}" if fits < machine.ranks else "ps -eo rss,pid,user,args --sort=-rss | head"
        return Finding(PROBLEM if each < LEAST_MIB * MIB else WARNING, f"{found}: little", fix)
    return Finding(OK, found)


CHECKS = {"cores": cores, "memory": memory}
