"""A run in the background of this machine: it outlives the terminal, and the verbs that watch a job watch it too."""

import os
import subprocess
import sys
import time

from hpcjobs.errors import LaunchError, RunFolderError
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.lease import owner

LOG = "log-local.out"
START_S = 10.0


def detach(folder: RunFolder, ranks: str | None) -> None:
    """Start `hpcjobs resume` on a folder, apart from this process; returns when it has begun, or has ended."""
    busy = owner(folder)
    if busy:
        raise RunFolderError(f"{folder.path}: runs already, as process {busy['pid']} on {busy['host']}")
    argv = [sys.executable, "-m", "hpcjobs", "resume", str(folder.path), *(["-n", ranks] if ranks else [])]
    log = folder.path / LOG
    # O_APPEND: attempts follow each other in one log; O_NOFOLLOW: nobody leads it elsewhere.
    descriptor = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_NOFOLLOW, 0o666)
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"},
        )
    finally:
        os.close(descriptor)
    before = folder.read_outcome()
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and not owner(folder):
        code = process.poll()
        if code is not None and code not in (0, 75) and folder.read_outcome() == before:
            raise LaunchError(f"{folder.path}: ended at once with exit code {code}; {log} says why")
        if code is not None:
            return
        time.sleep(0.05)
