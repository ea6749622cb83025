"""A task of a step, told which one it is."""

import json
import os
from typing import NoReturn

from hpcjobs.testing.fake.options import say


def become_rank(argv: list[str]) -> NoReturn:
    """Turn into a task: tell it which one it is, as Slurm does, whoever started it."""
    environment = dict(os.environ)
    rank = int(environment.get("PMI_RANK", "0"))
    names, places = json.loads(environment.pop("HPCJOBS_FAKE_PLACES"))
    node, local = places[rank] if rank < len(places) else (0, 0)
    environment |= {
        "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(local), "SLURM_NODEID": str(node),
        "SLURM_TASK_PID": str(os.getpid()),
        "SLURMD_NODENAME": names[node],
    }  # fmt: skip
    if environment["SLURM_MPI_TYPE"] == "none":
        environment.pop("PMI_RANK", None)
    try:
        os.execvpe(argv[0], argv, environment)  # noqa: S606 - argv is the user's own command
    except OSError as problem:
        say(f"slurmstepd: error: execve(): {argv[0]}: {problem.strerror}")
        os._exit(2)
