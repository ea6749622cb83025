"""Slurm's commands, its controller, and whether `hpcjobs setup` was done."""

import re
import shutil

from hpcjobs.errors import UserError
from hpcjobs.launch.doctor._finding import NOT_HERE, OK, PROBLEM, WARNING, Finding, Machine
from hpcjobs.launch.site import read_site
from hpcjobs.launch.slurm.command import ask, available

PLACE = 70
ASK_S = 20.0
COMMANDS = ("sbatch", "squeue", "scancel", "scontrol", "sinfo", "srun")
CONFIGURE = "export SLURM_CONF=/etc/slurm/slurm.conf  # or wherever the site keeps it"
AGAIN = "scontrol ping  # try again, then ask the site's staff"
NO_SLURM = Finding(NOT_HERE, "no sbatch on PATH")
UP = re.compile(r"^Slurmctld\(\w+\) at (\S+) is (\w+)", re.MULTILINE)


def commands(machine: Machine) -> Finding:
    """What hpcjobs calls."""
    there = [name for name in COMMANDS if shutil.which(name)]
    if not there:
        return NO_SLURM
    missing = [name for name in COMMANDS if name not in there]
    answer = ask(["sbatch", "--version"], ASK_S)
    found = f"{answer.out.strip() or answer.problem}, {shutil.which(there[0])}"
    if missing:
        return Finding(PROBLEM, f"{found}; not on PATH: {', '.join(missing)}", "module load slurm")
    return Finding(OK, found) if answer.code == 0 else Finding(PROBLEM, found, CONFIGURE)


def controller(machine: Machine) -> Finding:
    """Whether the controller, or its backup, answers."""
    if not available():
        return NO_SLURM
    answer = ask(["scontrol", "ping"], ASK_S)
    states = UP.findall(answer.out)
    told = ", ".join(f"{host} is {state}" for host, state in states) or answer.problem
    if not any(state == "UP" for _, state in states):
        why = f"{told}: nothing can be submitted; jobs that run go on"
        return Finding(PROBLEM, why, CONFIGURE if "configuration source" in told else AGAIN)
    if any(state != "UP" for _, state in states):
        return Finding(WARNING, f"{told}: one of two does not answer", AGAIN)
    return Finding(OK, told)


def site(machine: Machine) -> Finding:
    """The file that `hpcjobs setup` writes."""
    if not available():
        return NO_SLURM
    try:
        found = read_site()
    except UserError as mistake:
        return Finding(PROBLEM, str(mistake), "hpcjobs setup --force")
    if not found.file:
        return Finding(WARNING, "not set up: the way to start ranks is guessed", "hpcjobs setup")
    return Finding(OK, f"{found.file}: ranks start by {found.mpi or 'what fits the MPI library'}")


CHECKS = {"Slurm": commands, "Slurm controller": controller, "site set-up": site}
