"""Who a process is, so that a dead owner is told from a living one even after its number was used again."""

import os
import platform
from pathlib import Path

LAUNCHED = "HPCJOBS_LAUNCHED"


def boot_id() -> str:
    """Changes at every boot of the machine; empty where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def process_space() -> str:
    """The namespace of our process numbers: two containers on one host each have their own."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def start_ticks(pid: int) -> int | None:
    """When a living process started, in clock ticks since boot; None when it is gone or a zombie."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if state in "ZX" else int(rest[18])


def myself() -> dict[str, str | int]:
    """This process, as the lease names it."""
    pid = os.getpid()
    return {
        "host": platform.node(),
        "pid": pid,
        "started": start_ticks(pid) or 0,
        "boot": boot_id(),
        "space": process_space(),
    }


def slurm_job() -> str:
    """The Slurm job around this process: "12", "12_3" for a task of an array, "" outside of any."""
    env = os.environ
    if env.get("SLURM_ARRAY_JOB_ID") and env.get("SLURM_ARRAY_TASK_ID"):
        return f"{env['SLURM_ARRAY_JOB_ID']}_{env['SLURM_ARRAY_TASK_ID']}"
    return env.get("SLURM_JOB_ID", "")


def slurm_restarts() -> int:
    """How often Slurm had started the job around this process before."""
    count = os.environ.get("SLURM_RESTART_COUNT", "")
    return int(count) if count.isdigit() else 0


def launched() -> bool:
    """Whether this process is a rank that `run -n` started, so that another process speaks to the user."""
    return LAUNCHED in os.environ


def home() -> Path | None:
    """The user's home; None for a user without one, as in some containers."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def state_folder() -> Path | None:
    """`$XDG_STATE_HOME/hpcjobs` (or under ~/.local/state), made private if need be; None where none can be."""
    base = os.environ.get("XDG_STATE_HOME")
    user = home()
    if not base and user is None:
        return None
    folder = (Path(base) if base else user / ".local" / "state" if user else Path()) / "hpcjobs"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return None
    return folder
