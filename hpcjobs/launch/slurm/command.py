"""Running one of Slurm's commands: a list of arguments, an environment without leftovers, an answer as text."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from hpcjobs.errors import SlurmError

TIMEOUT_S = 60.0
# A job that submits a job must not hand its own size on; and formats of the user are not for us.
INHERITED = ("SLURM_", "SBATCH_", "SRUN_", "SALLOC_", "SQUEUE_", "SACCT_", "SINFO_", "SCANCEL_", "PMI_", "PMIX_")
KEPT = ("SLURM_CONF", "SLURM_CLUSTERS")
# The controller did not answer, or its answer was lost: what was asked may have happened or not.
LOST = (
    "socket timed out",
    "unable to contact slurm controller",
    "zero bytes were transmitted",
    "transport endpoint",
    "connection refused",
    "connection reset",
    "communication connection failure",
    "unexpected message received",
    "temporarily unable to accept job",
    "resource temporarily unavailable",
    "slurm backup controller in standby mode",
)


@dataclass(frozen=True)
class Answer:
    """What a command printed, and how it ended; `code` is None when it gave no answer in time."""

    code: int | None
    out: str
    err: str

    @property
    def lost(self) -> bool:
        """Whether nobody knows what became of the request."""
        return self.code is None or (self.code != 0 and any(word in self.err.lower() for word in LOST))

    @property
    def problem(self) -> str:
        """The last thing it complained about, in one line."""
        if self.code is None:
            return self.err
        lines = [line.strip() for line in (self.err or self.out).splitlines() if line.strip()]
        return lines[-1] if lines else f"exit code {self.code}"


def available() -> bool:
    """Whether this machine has Slurm's commands."""
    return shutil.which("sbatch") is not None


def require() -> None:
    """Refuse where there is no Slurm, and name what works without."""
    if not available():
        raise SlurmError(
            "there is no sbatch on this machine's PATH: submit from a login node of the cluster (or load its Slurm "
            "module); without Slurm, `hpcjobs run JOB ... -n RANKS --detach` runs in the background of this machine"
        )


def ask(argv: Sequence[str], timeout_s: float = TIMEOUT_S) -> Answer:
    """Run a command of Slurm's; never raises for what it answers."""
    try:
        ended = subprocess.run(
            argv,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError:
        return Answer(127, "", f"{argv[0]}: not found on PATH")
    except PermissionError as error:
        return Answer(126, "", f"{argv[0]}: {error.strerror}")
    except subprocess.TimeoutExpired:
        return Answer(None, "", f"{argv[0]} gave no answer within {timeout_s:g} s")
    return Answer(ended.returncode, ended.stdout.decode(errors="replace"), ended.stderr.decode(errors="replace"))


def environment() -> dict[str, str]:
    """Ours, without what a surrounding job or the user's own formats would change."""
    env = {key: value for key, value in os.environ.items() if key in KEPT or not key.startswith(INHERITED)}
    return env | {"LC_ALL": "C"}
