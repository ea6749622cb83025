"""The `hpcjobs` command: set the process up, run one verb, end all ranks in agreement."""

import os
import signal
import sys
import tempfile
import time
import traceback
import zlib
from pathlib import Path

from hpcjobs.errors import UserError

FINALIZE_S = 20
# mpiexec drops what it has not read when a rank aborts: it gets this long to read the traceback.
HEARD_S = 0.5


def main() -> None:
    """Entry point of the command and of `python -m hpcjobs`."""
    prepare()
    try:
        from hpcjobs.cli import dispatch

        code = dispatch(sys.argv[1:])
    except UserError as mistake:
        from hpcjobs.parallel.starter import announced

        start = announced()
        if start is None or start.rank == 0:
            print(f"hpcjobs: error: {mistake}", file=sys.stderr, flush=True)
        code = 2
    except BrokenPipeError:  # the reader of our output has left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 1
    except BaseException as error:
        if isinstance(error, SystemExit) and "hpcjobs.parallel.mpi" not in sys.modules:  # argparse after --help
            raise
        end_all(error)
    leave(code)


def prepare() -> None:
    """Settings of this process that must stand before NumPy, HDF5, Numba or MPI are loaded."""
    for threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(threads, "1")
    os.environ["HDF5_PLUGIN_PRELOAD"] = "::"  # no code from plugins named by a data file
    os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")  # shared file systems refuse locks; we never need one
    os.environ.setdefault("NUMBA_CACHE_DIR", str(numba_cache()))
    from hpcjobs.launch import local

    if local.launched():
        local.die_with_parent(signal.SIGKILL)


def numba_cache() -> Path:
    """A folder of this user for this class of CPU: mixed nodes of a cluster share a home."""
    flags = ""
    try:
        with open("/proc/cpuinfo") as lines:  # noqa: PTH123 (a device, read line by line)
            flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    except OSError:
        pass
    name = f"numba-{os.uname().machine}-{zlib.crc32(flags.encode()):08x}"
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hpcjobs"
    for base in (home, Path(tempfile.gettempdir()) / f"hpcjobs-{os.getuid()}"):
        try:
            (base / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError:
            continue
        if os.access(base / name, os.W_OK) and (base / name).stat().st_uid == os.getuid():
            return base / name
    return Path(tempfile.mkdtemp(prefix="hpcjobs-numba-"))


def end_all(error: BaseException) -> None:
    """Something nobody planned: tell it once, here, and end every rank now."""
    traceback.print_exception(error)
    sys.stderr.flush()
    mpi = sys.modules.get("hpcjobs.parallel.mpi")
    if mpi is not None:
        time.sleep(HEARD_S)
        mpi.MPICommunicator().abort(1)
    os._exit(130 if isinstance(error, KeyboardInterrupt) else 1)


def leave(code: int) -> None:
    """Finalize MPI, then exit; a rank that the others do not join ends after a while, and they with it."""
    mpi = sys.modules.get("hpcjobs.parallel.mpi")
    if mpi is not None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(FINALIZE_S)
        mpi.MPICommunicator().finalize()
        signal.alarm(0)
    sys.stdout.flush()
    sys.exit(code)


if __name__ == "__main__":
    main()
