"""Starts the ranks of one test, watches them, and ends every process of theirs."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from harness.processes import POLL, RankEnd, ask_for_stacks, end_processes, rank_end
from harness.rank import FOLDER

WATCH = Path(__file__).with_name("watch.py")
# Ranks start as from a plain shell: what an outer launcher, batch job or pytest says of itself stays outside.
FOREIGN = ("SLURM_", "PMI_", "PMIX_", "OMPI_COMM_WORLD_", "OMPI_MCA_ess", "OMPI_MCA_orte_", "PYTEST_")
SETTINGS = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # Open MPI as root and with more ranks than cores; other MPIs need, and read, nothing of this.
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "PRTE_MCA_hwloc_default_binding_policy": "none",
}
GRACE = 2.0  # seconds the other ranks get to report once one has failed


@dataclass(frozen=True)
class Ended:
    """How one launch went."""

    ranks: list[RankEnd]
    code: int | None  # the launcher's exit code; None when the harness had to end it
    printed: str


def mpiexec() -> str | None:
    """The launcher beside this Python, else the one on PATH, else None."""
    return shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or shutil.which("mpiexec")


def command(launcher: str, ranks: int, folder: Path, arguments: list[str]) -> list[str]:
    """The argv that runs pytest with `arguments` on every rank."""
    watch = [sys.executable, "-I", "-S", str(WATCH), str(folder)]
    pytest = [sys.executable, "-m", "mpi4py", "-m", "pytest", "--with-mpi", "-p", "no:cacheprovider"]
    return [launcher, "-n", str(ranks), *watch, *pytest, *arguments]


def environment(folder: Path) -> dict[str, str]:
    """What the ranks see."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return kept | SETTINGS | {FOLDER: str(folder), "PYTEST_DEBUG_TEMPROOT": str(folder)}


def run(argv: list[str], ranks: int, folder: Path, root: Path, limit: float) -> Ended:
    """Run `argv` in `root` until it ends, passes `limit` seconds, or waits in vain for a rank that broke."""
    (folder / "shared").mkdir()
    log = folder / "launcher.log"
    with log.open("w") as output:
        launcher = subprocess.Popen(
            argv,
            cwd=root,
            env=environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        code = wait(launcher, ranks, folder, limit)
        if code is None:
            ask_for_stacks(folder, ranks)
        ends = [rank_end(folder, rank) for rank in range(ranks)]
    finally:
        end_processes(folder)
        launcher.wait()
    return Ended(ends, code, log.read_text(errors="replace"))


def wait(launcher: subprocess.Popen[bytes], ranks: int, folder: Path, limit: float) -> int | None:
    """The launcher's exit code, or None when it outlived the limit or a broken rank's grace."""
    deadline = time.monotonic() + limit
    broken = False
    while launcher.poll() is None:
        if time.monotonic() > deadline:
            return None
        if not broken and any(rank_end(folder, rank).broke for rank in range(ranks)):
            broken = True
            deadline = min(deadline, time.monotonic() + GRACE)
        time.sleep(POLL)
    return launcher.returncode
