"""Waiting for runs to end."""

import time
from collections.abc import Sequence
from pathlib import Path

from hpcjobs.errors import RunFolderError
from hpcjobs.launch.slurm.cache import Cache
from hpcjobs.launch.watch.silence import note
from hpcjobs.launch.watch.truth import Verdict
from hpcjobs.launch.watch.watching import watch
from hpcjobs.runs.progress import say


def wait(runs: Sequence[Path], timeout_s: float | None = None) -> list[Verdict]:
    """The verdicts when all runs have ended, or when time is up. Says so when Slurm does not answer."""
    cache, trouble_before = Cache.open(), ""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    verdicts: list[Verdict] = []
    for verdicts in watch(runs, cache):
        idle = next((found for found in verdicts if found.state == "not started"), None)
        if idle is not None:
            raise RunFolderError(
                f"{idle.run}: was never started{': ' + idle.reason if idle.reason else ''}; "
                f"start it first: hpcjobs submit {idle.run}, or hpcjobs resume {idle.run}"
            )
        if deadline is not None and time.monotonic() >= deadline:
            break
        trouble = note(verdicts, cache)
        if trouble and not trouble_before:
            say(f"{trouble}; waiting on")
        trouble_before = trouble
    return verdicts
