"""Starting ranks on this machine: `mpiexec -n N python -m mpi4py -m hpcjobs resume RUNDIR`."""

import contextlib
import ctypes
import io
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from hpcjobs.errors import LaunchError, SettingsError, UserError
from hpcjobs.parallel.starter import announced
from hpcjobs.runs import outcome
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.lease import take
from hpcjobs.runs.process import LAUNCHED
from hpcjobs.runs.progress import forget_terminal, on_terminal, say
from hpcjobs.runs.stopping import GRACEFUL, hangup_is_ignored

AGREED = (outcome.DONE, outcome.MISTAKE, outcome.STOPPED)
MOST_RANKS = 4096
PR_SET_PDEATHSIG = 1


def check(ranks: str | None) -> None:
    """Refuse a number of ranks that cannot be started here."""
    if ranks is None:
        return
    if not (ranks.isdecimal() and 1 <= int(ranks) <= MOST_RANKS):
        raise SettingsError(f"-n is {ranks!r}: expected a number of ranks from 1 to {MOST_RANKS}")
    start = announced()
    if start is not None and start.size > 1:
        raise SettingsError(f"-n {ranks}: {start.by} has already started {start.size} ranks; leave -n out")


def launch(folder: RunFolder, ranks: str) -> int:
    """Run the folder on `ranks` ranks; returns the exit code they agreed on, or 1 when they came to none."""
    before = _ended(folder)
    with (
        subprocess.Popen(
            argv(mpiexec(), int(ranks), ["hpcjobs", "resume", str(folder.path)]),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,  # what mpiexec has to say is talk; the result is named by us
            stderr=subprocess.STDOUT,
            restore_signals=False,  # a pipe that breaks is no reason for mpiexec to die
            start_new_session=True,  # a Ctrl-C at the terminal reaches us only, and we pass it on
            preexec_fn=_prepare_launcher,
        ) as process,
        _forwarding(process) as asked,
    ):
        _relay(process)
        code = process.wait()
    if code in AGREED and (code != outcome.DONE or folder.result.exists()):
        return code
    if len(_ended(folder)) == len(before):  # no rank lived to tell
        _tell(folder, before, asked, code)
    told = folder.read_outcome()
    if not told:
        return outcome.FAILED
    say(f"{told['state']}: {told['reason']}; told in {folder.outcome}; continue with: hpcjobs resume {folder.path}")
    return int(told["exit_code"])


def launch_command(arguments: list[str], ranks: str) -> int:
    """Run `hpcjobs ARGUMENTS`, which needs no run folder, on `ranks` ranks; the exit code they agreed on, or 1."""
    with (
        subprocess.Popen(
            argv(mpiexec(), int(ranks), ["hpcjobs", *arguments]),
            env=environment(),
            stdin=subprocess.DEVNULL,
            restore_signals=False,
            start_new_session=True,
            preexec_fn=_prepare_launcher,
        ) as process,
        _forwarding(process, signal.SIGTERM) as asked,
    ):
        code = process.wait()
    if code in (outcome.DONE, outcome.MISTAKE):
        return code
    why = f"stopped by {asked[0].name}" if asked else f"a rank failed or was killed: mpiexec ended with {_named(code)}"
    say(why)
    return outcome.FAILED


def _tell(folder: RunFolder, before: list[dict[str, Any]], asked: list[signal.Signals], code: int) -> None:
    """Write how the ranks ended in their place."""
    end, reason = outcome.FAILED, f"a rank was killed or crashed: mpiexec ended with {_named(code)}"
    if asked and asked.count(signal.SIGINT) < 2:
        end, reason = outcome.STOPPED, f"stopped by {asked[0].name} before the ranks were ready"
    try:
        attempts = take(folder, {}, before)[:-1]
        folder.lease.unlink()
        outcome.write(folder, end, reason, attempts)
    except UserError as trouble:
        say(f"failed: {reason}; and the run folder cannot be written: {trouble}")


def _relay(process: "subprocess.Popen[bytes]") -> None:
    """Pass on what the ranks say until the last has spoken; a terminal that is gone must not end them."""
    assert isinstance(process.stdout, io.BufferedReader)
    while chunk := process.stdout.read1():
        try:
            sys.stderr.buffer.write(chunk)
            sys.stderr.buffer.flush()
        except OSError:
            forget_terminal()


def _ended(folder: RunFolder) -> list[dict[str, Any]]:
    attempts: list[dict[str, Any]] = folder.read_outcome().get("attempts", [])
    return attempts


def argv(launcher: Path, ranks: int, module: Sequence[str]) -> list[str]:
    """The command that starts a module on ranks. `-m mpi4py` makes an exception on one rank end all of them."""
    return [str(launcher), "-n", str(ranks), sys.executable, "-m", "mpi4py", "-m", *module]


def mpiexec() -> Path:
    """The mpiexec beside our Python (from `hpcjobs[local]`), else the one on PATH."""
    beside = Path(sys.executable).parent / "mpiexec"
    if beside.exists():
        return beside
    found = shutil.which("mpiexec")
    if found is None:
        raise LaunchError(
            "-n needs mpiexec, and there is none beside this Python nor on PATH: load the site's MPI module, "
            "or install one with: pip install 'hpcjobs[local]'"
        )
    return Path(found)


def environment() -> dict[str, str]:
    """What the ranks see: ours, and leave to be root and to outnumber the cores, which Open MPI asks for."""
    added = {
        LAUNCHED: str(os.getpid()),
        "PYTHONSAFEPATH": "1",  # a random.py in the current folder is not the library's
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
    }
    if on_terminal():
        added["HPCJOBS_TERMINAL"] = "1"
    # A starter of our own process (`srun --pty bash`) is none of the ranks' business.
    return {key: value for key, value in os.environ.items() if not key.startswith(("PMI_", "PMIX_"))} | added


def die_with_parent(number: signal.Signals) -> None:
    """Ask Linux to send us a signal when the process that started us dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def _prepare_launcher() -> None:
    # MPICH's mpiexec dies of these two; ignored ones stay ignored across exec.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    die_with_parent(signal.SIGTERM)


@contextlib.contextmanager
def _forwarding(
    process: "subprocess.Popen[bytes]", passed_on: signal.Signals = signal.SIGUSR1
) -> Iterator[list[signal.Signals]]:
    """Pass every signal that asks to stop on to the ranks and list it; a second Ctrl-C ends them at once.

    SIGUSR1 is the one that every mpiexec passes on; SIGTERM ends ranks that would not know what to do about it.
    """
    asked: list[signal.Signals] = []

    def forward(number: int, frame: FrameType | None) -> None:
        asked.append(signal.Signals(number))
        if asked.count(signal.SIGINT) > 1:
            process.kill()  # the ranks end with it
        else:
            process.send_signal(passed_on)

    heeded = [number for number in GRACEFUL if not hangup_is_ignored(number)]
    before: dict[int, Any] = {number: signal.signal(number, forward) for number in heeded}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _named(code: int) -> str:
    try:
        return signal.Signals(-code if code < 0 else code - 128).name
    except ValueError:
        return f"exit code {code}"
