"""Waiting for runs to end: their folders are looked at every second, Slurm only as often as its cache allows."""

import time
from collections.abc import Sequence
from pathlib import Path

from hpcjobs.errors import RunFolderError
from hpcjobs.launch.slurm.cache import Cache
from hpcjobs.launch.truth import look

LOOK_S = 1.0


def wait(runs: Sequence[Path], timeout: float | None = None) -> int:
    """Wait until every run has ended; the highest of their exit codes. TimeoutError after `timeout` seconds."""
    cache, deadline = Cache.open(), None if timeout is None else time.monotonic() + timeout
    while True:
        verdicts = look(runs, cache, watching=True)
        idle = [found.run for found in verdicts if found.state == "not started"]
        if idle:
            raise RunFolderError(f"{idle[0]}: was never started; hpcjobs resume or submit starts it")
        if all(found.ended for found in verdicts):
            return max(found.exit_code or 0 for found in verdicts)
        if deadline is not None and time.monotonic() >= deadline:
            raise TimeoutError(f"{sum(not found.ended for found in verdicts)} of {len(runs)} runs have not ended yet")
        time.sleep(LOOK_S)
