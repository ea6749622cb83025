"""Running, submitting and attaching from Python. What crosses to the cluster is a run folder, never pickled code."""

import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpcjobs import jobs
from hpcjobs.api.handle import Run
from hpcjobs.errors import SettingsError, nearest
from hpcjobs.launch import ordering, submitting
from hpcjobs.launch.preparing import Place, prepare, wanted
from hpcjobs.runs import making
from hpcjobs.runs.index import find
from hpcjobs.runs.making import label_of


def run(
    job: str,
    settings: Mapping[str, Any],
    *,
    ranks: int | None = None,
    out: str | Path | None = None,
    name: str = "",
    tags: tuple[str, ...] = (),
) -> Run:
    """Run a job on this machine, on `ranks` MPI ranks (default: one), and wait for it.

    Returns the handle of a run that is done; a folder `out` that is there goes on where it stopped. Raises UserError
    for what the user can mend, and RunFailed with the reason when the run ended otherwise.

        >>> hpcjobs.run("kmeans", {"data": "rows.h5", "clusters": 10}, ranks=4).result()["centres"]
    """
    called, found, values = _wanted(job, settings)
    folder = prepare(called, found, values, Place(Path(out) if out else None, name, tags))
    argv = [sys.executable, "-m", "hpcjobs", "resume", str(folder.path), *(["-n", str(ranks)] if ranks else [])]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        try:
            process.wait()
        except KeyboardInterrupt:  # the run has heard the same Ctrl-C, and saves
            process.send_signal(signal.SIGUSR1)
            process.wait()
            raise
    handle = Run(folder.path)
    handle.require_done()
    return handle


def submit(
    job: str,
    settings: Mapping[str, Any],
    *,
    out: str | Path | None = None,
    name: str = "",
    tags: tuple[str, ...] = (),
    share: str = "",
    **resources: Any,
) -> Run:
    """Send a job to Slurm; returns at once. `resources` are the flags of `hpcjobs submit` with `_` for `-`.

    >>> job = hpcjobs.submit("kmeans", {"data": "rows.h5", "clusters": 10}, nodes=2, time="00:30:00")
    >>> job.state, job.wait(), job.result()
    """
    wrong = next((given for given in resources if given not in ordering.declared()), None)
    if wrong:
        raise SettingsError(f"submit: unknown resource {wrong!r}; {nearest(wrong, ordering.declared())}")
    called, found, values = _wanted(job, settings)
    order = ordering.order(name or label_of(called), resources)
    path = making.resolved(Path(out) if out else making.default_path(order.label))
    place = Place(path, name, tags, share)
    ordering.check(order, found, [values])
    making.private(share)
    submitting.dispatch(
        path, order, [submitting.Batch()], lambda: prepare(called, found, values, place, keep_code=True)
    )
    return Run(path)


def attach(run: str | Path) -> Run:
    """The handle of a run that is there: by folder, name, unique beginning of a name, Slurm job id, or "last"."""
    return Run(find(str(run)))


def _wanted(job: str, settings: Mapping[str, Any]) -> tuple[str, Any, dict[str, Any]]:
    """The job's full name, the job, and its settings, checked."""
    called = jobs.canonical(job)
    found = jobs.find(called)
    return called, found, wanted(found, None, dict(settings))
