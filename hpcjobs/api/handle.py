"""A run as Python holds it: read from its folder and from Slurm when asked, so that a handle never goes stale."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpcjobs.errors import UserError
from hpcjobs.launch.slurm.cache import Cache
from hpcjobs.launch.watch import truth
from hpcjobs.launch.watch.waiting import wait
from hpcjobs.runs.folder import RunFolder


class RunFailed(UserError):  # noqa: N818 (what happened, not a mistake of ours)
    """A run that ended without a result: the message says why."""


@dataclass(frozen=True)
class Run:
    """One run, wherever it runs. Two handles of one folder are equal."""

    folder: Path

    @property
    def state(self) -> str:
        """In words: pending, running, done, stopped, failed, cancelled ... as `hpcjobs status` says it."""
        return self.verdict().state

    @property
    def job_id(self) -> str:
        """The number that Slurm gave it last; "" for a run of this machine."""
        return self.verdict().job_id

    def verdict(self) -> truth.Verdict:
        """State, reason, job id, exit code and digest at this moment."""
        (found,) = truth.look([self.folder], Cache.open())
        return found

    def progress(self) -> dict[str, Any]:
        """Step, total, rate (steps a second) and seconds left, as last told; empty before the first step."""
        return RunFolder(self.folder).read_progress()

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended; its exit code (0: done, 75: stopped). TimeoutError after `timeout` seconds."""
        (found,) = wait([self.folder], timeout)
        if found.exit_code is None:
            raise TimeoutError(f"{self.folder}: is still {found.state} after {timeout:g} s")
        return found.exit_code

    def require_done(self) -> None:
        """Raise RunFailed unless it is done."""
        found = self.verdict()
        if found.state != "done":
            raise RunFailed(f"{self.folder}: {found.state}: {found.reason}")

    def result(self) -> dict[str, Any]:
        """The arrays below `/result`, by name; RunFailed when there is no result yet."""
        from hpcjobs.runs.story import arrays

        self.require_done()
        return arrays(RunFolder(self.folder).result)
