"""Watching runs until they have ended: their folders every second, Slurm only as often as the shared cache allows."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from hpcjobs.launch.slurm.cache import Cache
from hpcjobs.launch.watch.truth import Verdict, look
from hpcjobs.runs.folder import RunFolder

LOOK_S = 0.5
# Every run watched has told how it ended and only Slurm has not: it is asked again after these times, then as usual.
CONFIRM_S = (1.0, 2.0, 4.0, 8.0, 16.0)


def watch(runs: Sequence[Path], cache: Cache) -> Iterator[list[Verdict]]:
    """The verdicts on runs, again and again; the last ones are those that say that all have ended."""
    seen: dict[Path, int] = {}
    pauses, due = list(CONFIRM_S), 0.0
    while True:
        verdicts = look(runs, cache, watching=True)
        yield verdicts
        told = {found.run: _told(found.run) for found in verdicts if not found.ended}
        if not told:
            return
        if told != seen:
            seen, pauses, due = told, list(CONFIRM_S), 0.0
        if all(told.values()) and pauses and time.monotonic() >= due:
            due = time.monotonic() + pauses.pop(0)
            cache.fresh()
        time.sleep(LOOK_S)


def _told(run: Path) -> int:
    """When a run told how it ended; 0 while an attempt is under way, or when none was."""
    folder = RunFolder(run)
    try:
        return 0 if folder.lease.exists() else folder.outcome.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
