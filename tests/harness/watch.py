"""Started by mpiexec once per rank: runs the rank, keeps its output apart and writes down how it ended.

A launcher kills the other ranks when one dies, so who died first is known only to somebody beside each rank.
Usage: watch.py FOLDER PROGRAM ARGUMENT...
"""

import os
import sys
import time

# The names under which Open MPI, MPICH and Intel MPI, PMIx launchers and srun announce a rank.
RANK_NAMES = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID")


def announced_rank() -> int:
    """The rank that the launcher gave this process, known before any MPI library is loaded."""
    return int(next(os.environ[name] for name in RANK_NAMES if name in os.environ))


def watch(folder: str, argv: list[str]) -> int:
    """Run `argv` with its output in `rank-N.log`; leave `rank-N.end`: when it ended and its exit code."""
    name = os.path.join(folder, f"rank-{announced_rank()}")  # noqa: PTH118 (pathlib is a slow import)
    log = os.open(f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    outputs = [(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
    pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=outputs)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    with open(f"{name}.writing", "w") as end:  # noqa: PTH123
        end.write(f"{time.monotonic_ns()} {code}")
    os.rename(f"{name}.writing", f"{name}.end")  # noqa: PTH104
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(watch(sys.argv[1], sys.argv[2:]))
