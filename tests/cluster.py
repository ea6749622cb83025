"""A real Slurm of several nodes on this machine: `make test-slurm` starts it, as root on Debian."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from command import story

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "slurm" / "cpu.sbatch"
CLUSTER = ROOT / "docker" / "slurm" / "cluster.sh"
# More work than fits before the signal of a one-minute limit, less than a few such minutes.
DATA = ("--rows", 100_000, "--columns", 16, "--centres", 30, "--spread", 30)
SHORT = ("--data", "b.h5", "--clusters", 20, "--max-iterations", 20)
LONG = ("--data", "b.h5", "--clusters", 64, "--init", "random", "--tolerance", 0, "--max-iterations", 60)


@dataclass(frozen=True)
class Slurm:
    """A folder that all nodes see, with data, local runs to compare with, and Slurm's commands."""

    folder: Path

    def ask(self, *argv: object) -> str:
        """Run a command of Slurm's and return what it prints."""
        texts = [str(argument) for argument in argv]
        env = os.environ | {"HPCJOBS_PYTHON": sys.executable}
        ended = subprocess.run(texts, cwd=self.folder, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 0, f"{texts}: {ended.stdout}{ended.stderr}"
        return ended.stdout.strip()

    def submit(self, *argv: object) -> int:
        """Submit the script by hand; returns the job number."""
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
        self.until(lambda: self.state(job) in states, f"job {job} to be {states}", limit_s)

    def until(self, condition: Callable[[], bool], what: str, limit_s: float = 120) -> None:
        deadline = time.monotonic() + limit_s
        while not condition():
            logs = [path.read_text()[-2000:] for path in self.folder.glob("*.out")]
            assert time.monotonic() < deadline, f"waited {limit_s} s for {what}\n" + "\n".join(logs)
            time.sleep(0.3)

    def steps(self, run: str) -> int:
        """The step of the newest checkpoint of a run."""
        return max((int(path.stem[5:]) for path in (self.folder / run).glob("checkpoints/step-*.h5")), default=0)

    def digest(self, run: str) -> str:
        return str(story(self.folder, run)["digest"])

    def cluster(self, *argv: str) -> None:
        """Break a node or bring it back."""
        subprocess.run([CLUSTER, *argv], check=True, capture_output=True, timeout=120)
