"""The controller runs while there are jobs; whoever changes something makes sure that it does."""

import os
import signal
import sys
from pathlib import Path

from hpcjobs.testing.fake.store import FOLDER, Store

KEPT = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH")


def program(name: str) -> list[str]:
    """The argv that plays a command: isolated, without site-packages, for a start in a blink."""
    return [sys.executable, "-I", "-S", str(Path(__file__).with_name("__main__.py")), name]


def controller(store: Store) -> None:
    """Start the controller if it does not run; within `Store.change`, so that only one is started."""
    if alive(store.fact("controller")):
        return
    import subprocess

    # Not the caller's environment: a variable of its job would make the controller look like a part of that job.
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    with (store.folder / "controller.log").open("ab") as log:
        process = subprocess.Popen(
            program("controller"),
            env={**environment, FOLDER: str(store.folder)},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    store.set_fact("controller", [process.pid, started(process.pid)])
    process.returncode = 0  # it outlives us on purpose


def started(pid: int) -> str:
    """When a process started, in the kernel's ticks; "" for one that is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def alive(process: list[object] | None) -> bool:
    """Whether [pid, start] still runs and is not another process of the same number."""
    return bool(process) and started(int(str(process[0]))) == process[1] != "" if process else False


def send(pid: int, number: int) -> bool:
    """Send a signal; False if the process is gone."""
    try:
        os.kill(pid, signal.Signals(number))
    except OSError:
        return False
    return True
