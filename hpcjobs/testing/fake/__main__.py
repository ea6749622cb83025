"""Play the command of Slurm's that the first argument names."""

import importlib
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from hpcjobs.testing.fake.options import Exit, say
from hpcjobs.testing.fake.store import Store, open_store

COMMANDS = ("sbatch", "squeue", "sacct", "scancel", "scontrol", "sinfo", "srun")
UNREACHABLE = "Unable to contact slurm controller (connect failure)"
COMPLAINTS = {
    "sbatch": (1, f"sbatch: error: Batch job submission failed: {UNREACHABLE}"),
    "squeue": (1, f"slurm_load_jobs error: {UNREACHABLE}"),
    "scancel": (8, f"scancel: error: Kill job error on job id 0: {UNREACHABLE}"),
    "scontrol": (1, f"slurm_load_jobs error: {UNREACHABLE}"),
    "sinfo": (1, f"slurm_load_partitions: {UNREACHABLE}"),
    "srun": (1, f"srun: error: Unable to allocate resources: {UNREACHABLE}"),
}


def main(argv: list[str]) -> int:
    """Play a command; returns its exit code."""
    name = argv[0]
    if name == "rank":
        from hpcjobs.testing.fake.rank import become_rank

        become_rank(argv[1:])
    store = open_store()
    if name == "controller":
        from hpcjobs.testing.fake.controller import run

        return run(store)
    store.note(argv)
    if argv[1:] in (["--version"], ["-V"]):
        print(f"slurm {store.config()['dialect']}.0")
        return 0
    try:
        outage(name, argv, store)
        return int(importlib.import_module(f"hpcjobs.testing.fake.{name}").main(argv[1:], store))
    except Exit as end:
        say(*end.lines)
        return end.code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def outage(name: str, argv: list[str], store: Store) -> None:
    """A controller that does not answer, or answers with nothing."""
    if name in COMPLAINTS and store.take("controller_down"):
        code, complaint = COMPLAINTS[name]
        if argv[1:2] == ["ping"]:
            complaint = f"Slurmctld(primary) at {os.uname().nodename} is DOWN"
        raise Exit(code, complaint)
    if name in ("squeue", "sacct") and (store.take("empty_answers") or store.take(f"empty_{name}")):
        raise Exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
