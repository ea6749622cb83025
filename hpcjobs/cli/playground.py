"""A pretend Slurm cluster on this machine, to learn on: a shell with it, or one command."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from hpcjobs.cli import Parser
from hpcjobs.errors import LaunchError, nearest
from hpcjobs.runs.progress import say

TROUBLES = ("node", "oom", "time", "preempt", "preempt-cancel")
GREETING = """A pretend Slurm cluster on this machine: 4 nodes of 8 CPUs, 2 with GPUs; partitions main, short (2 min),
scavenge (preempted by main) and gpu. Nothing leaves this machine. Try:
  hpcjobs data generate blobs blobs.h5 --rows 100000 --columns 8 --centres 5 --seed 1
  hpcjobs submit kmeans --data blobs.h5 --clusters 5 --ntasks 2
  hpcjobs status last        hpcjobs logs -f last       hpcjobs why last        sinfo, squeue, sacct, scancel
  hpcjobs playground break node|oom|time|preempt        what a bad day does to the run that started last
`exit` ends it, and the jobs that still run."""
EPILOGUE = """hpcjobs playground                       a shell in it; $SHELL, else bash
hpcjobs playground -- COMMAND ...        one command in it; its exit code is ours
hpcjobs playground break TROUBLE [JOB]   inside: break a running job (default: the last that started)"""


def main(argv: list[str]) -> int:
    """`hpcjobs playground`: a shell, a command, or trouble."""
    if argv[:1] == ["break"]:
        return break_job(argv[1:])
    own, dashes, command = (
        (argv[: argv.index("--")], "--", argv[argv.index("--") + 1 :]) if "--" in argv else (argv, "", [])
    )
    parser = Parser(prog="hpcjobs playground", description=__doc__, epilog=EPILOGUE)
    parser.add_argument(
        "--minute", type=float, default=60.0, metavar="SECONDS", help="how long a minute of time limits lasts (60)"
    )
    parser.add_argument(
        "--slurm", default="23.11", metavar="VERSION", help="which Slurm to play: 20.11, 22.05, 23.11, 26.05"
    )
    given = parser.parse(own)
    if given.minute <= 0:
        raise LaunchError(f"hpcjobs playground: --minute is {given.minute:g}, expected more than 0 seconds")
    if dashes and not command:
        raise LaunchError("hpcjobs playground: no command after --, expected one, as in `hpcjobs playground -- sinfo`")
    return play(command, given.minute, given.slurm)


def play(command: list[str], minute: float, version: str) -> int:
    """Start the cluster, run a shell or a command in it, and end it."""
    from hpcjobs.testing import FakeSlurm

    with tempfile.TemporaryDirectory(prefix="hpcjobs-playground-") as folder:
        with FakeSlurm(Path(folder), minute=minute, dialect=version) as cluster:
            shell = os.environ.get("SHELL") or "bash"
            if not command:
                say(GREETING)
            # Ctrl-C is for what runs in front of us; ignored, it would be ignored there too.
            handler = signal.signal(signal.SIGINT, lambda number, frame: None)
            try:
                argv = command or [shell]
                code = subprocess.run(
                    argv, env=surroundings(cluster.environment(), Path(folder)), check=False
                ).returncode
            except OSError as problem:
                raise LaunchError(f"hpcjobs playground: {argv[0]} cannot be run: {problem.strerror}") from None
            finally:
                signal.signal(signal.SIGINT, handler)
        return code if code >= 0 else 128 - code


def surroundings(environment: dict[str, str], folder: Path) -> dict[str, str]:
    """The cluster's environment, with this very hpcjobs in it, and without what is remembered of real clusters."""
    beside = str(Path(sys.executable).parent)
    (folder / "site.sh").write_text("# Nothing to load: the nodes of the playground are this machine.\n")
    if shutil.which("hpcjobs") != f"{beside}/hpcjobs":
        first, _, rest = environment["PATH"].partition(os.pathsep)
        environment["PATH"] = os.pathsep.join([first, beside, rest])
    return {
        **environment,
        "HPCJOBS_PYTHON": sys.executable,
        "HPCJOBS_SITE": str(folder / "site.sh"),
        "XDG_STATE_HOME": str(folder / "memory"),
        "XDG_CONFIG_HOME": str(folder / "settings"),
    }


def break_job(argv: list[str]) -> int:
    """Do to a running job what a real cluster may do to it."""
    parser = Parser(prog="hpcjobs playground break", description="Break a running job of the playground.")
    parser.add_argument("trouble", metavar="|".join(TROUBLES))
    parser.add_argument("job", nargs="?", metavar="JOB", help="its number; default: the job that started last")
    given = parser.parse(argv)
    if given.trouble not in TROUBLES:
        raise LaunchError(f"hpcjobs playground break: no trouble {given.trouble!r}; {nearest(given.trouble, TROUBLES)}")
    from hpcjobs.testing.cluster import fail
    from hpcjobs.testing.fake.store import FOLDER, open_store

    if not Path(os.environ.get(FOLDER) or "/nowhere", "state.db").exists():
        raise LaunchError("this shell is in no playground, expected one: start it with `hpcjobs playground`")
    store = open_store()
    running = [job for job in store.live() if job["state"] == "RUNNING"]
    if given.job is None and not running:
        raise LaunchError("no job runs in this playground, so nothing can be broken; submit one first")
    job = given.job or str(max(running, key=lambda job: job["start"])["id"])
    fail(store, job, given.trouble)
    say(f"job {job} met its trouble: {given.trouble}")
    return 0
