"""The processes of a job: which they are, and how signals reach them."""

import contextlib
import os
import signal
from pathlib import Path

from hpcjobs.testing.fake.store import FOLDER, Job


def led_by(pid: int) -> list[int]:
    """A process that called setsid, and all that it started and that did not call it again."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                fields = (path / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == pid and fields[0] != "Z":
                    found.append(int(path.name))
    return found


def marked(job: Job, folder: Path) -> list[int]:
    """Every process that carries a job's number in its environment, wherever it hides."""
    wanted = {f"SLURM_JOB_ID={job['id']}".encode(), f"{FOLDER}={folder}".encode()}
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with contextlib.suppress(OSError):
                if wanted <= set((path / "environ").read_bytes().split(b"\0")):
                    found.append(int(path.name))
    return found


def send(pids: list[int], *numbers: int) -> None:
    """Send signals to processes; those that are gone do not matter."""
    for number in numbers:
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, number)


def signal_steps(job: Job, number: int) -> None:
    """A signal to the ranks of every step: srun passes it on."""
    send([step["pid"] for step in job["steps"] if step["state"] == "RUNNING"], number)


def signal_batch(job: Job, number: int) -> None:
    """A signal to the batch shell alone."""
    if job["pid"]:
        send([job["pid"]], number)


def terminate(job: Job) -> None:
    """What comes before the kill: all of the batch step is asked to end, and srun passes that on to the ranks."""
    pids = led_by(job["pid"]) if job["pid"] else [step["pid"] for step in job["steps"] if step["state"] == "RUNNING"]
    send(pids, signal.SIGCONT, signal.SIGTERM)


def kill(job: Job, folder: Path) -> None:
    """End every process of a job, at once."""
    for _ in range(3):  # one that forked meanwhile
        pids = set(marked(job, folder)) | set(led_by(job["pid"]) if job["pid"] else [])
        if not pids:
            return
        send(sorted(pids), signal.SIGKILL)


def peak_memory(pid: int) -> int:
    """The most memory a process had, in KiB; 0 if nobody knows."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0
