"""The `hpcjobs` command: set the process up, run one verb, end all ranks in agreement."""

import contextlib
import errno
import os
import signal
import sys
import tempfile
import time
import traceback
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from hpcjobs.errors import UserError
from hpcjobs.runs.process import home, launched
from hpcjobs.runs.progress import tell

KERNELS = Path(__file__).parent / "kernels"
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
            tell(f"hpcjobs: error: {mistake}\n")
        code = 2
    except BrokenPipeError as error:  # the reader of our output has left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if "hpcjobs.parallel.mpi" in sys.modules:
            end_all(error)
        code = 1
    except BaseException as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None:
            unwritable(error)
        if isinstance(error, SystemExit) and "hpcjobs.parallel.mpi" not in sys.modules:  # argparse after --help
            raise
        end_all(error)
    leave(code)


def prepare() -> None:
    """Settings of this process that must stand before NumPy, HDF5, Numba or MPI are loaded."""
    open_streams()
    for threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(threads, "1")
    os.environ["HDF5_PLUGIN_PRELOAD"] = "::"  # no code from plugins named by a data file
    os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")  # shared file systems refuse locks; we never need one
    os.environ.setdefault("NUMBA_CACHE_DIR", str(numba_cache()))
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # half-written files are removed
    if launched():
        from hpcjobs.launch.local import die_with_parent

        die_with_parent(signal.SIGKILL)


def open_streams() -> None:
    """Give a process that was started with closed streams (`>&-`) ones that lead nowhere, before files take 0 to 2."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))


def numba_cache() -> Path:
    """A folder of this user for this class of CPU, as mixed nodes of a cluster share a home, and for these kernels.

    Numba looks at the file of a function only: what it calls or takes from other files would stay as it was compiled.
    """
    flags = ""
    try:
        with open("/proc/cpuinfo") as lines:  # noqa: PTH123 (a device, read line by line)
            flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    except OSError:
        pass
    kernels = zlib.crc32(b"".join(path.read_bytes() for path in sorted(KERNELS.rglob("*.py"))))
    name = f"numba-{os.uname().machine}-{zlib.crc32(flags.encode()):08x}-{kernels:08x}"
    for base in caches():
        try:
            base.mkdir(parents=True, exist_ok=True, mode=0o700)
            (base / name).mkdir(exist_ok=True, mode=0o700)
            # Compiled code is run: nobody else may own it, or the folder that it lies in.
            if all(path.lstat().st_uid == os.getuid() for path in (base, base / name)) and os.access(
                base / name, os.W_OK
            ):
                return base / name
        except OSError:
            continue
    return Path(tempfile.mkdtemp(prefix="hpcjobs-numba-"))


def caches() -> Iterator[Path]:
    """Where a cache may lie, the best first."""
    if os.environ.get("XDG_CACHE_HOME"):
        yield Path(os.environ["XDG_CACHE_HOME"]) / "hpcjobs"
    user = home()
    if user:
        yield user / ".cache" / "hpcjobs"
    yield Path(tempfile.gettempdir()) / f"hpcjobs-{os.getuid()}"


def end_all(error: BaseException) -> None:
    """Something nobody planned: tell it once, here, and end every rank now."""
    if isinstance(error, KeyboardInterrupt):
        tell("hpcjobs: interrupted\n")
    elif not isinstance(error, BrokenPipeError):
        with contextlib.suppress(OSError):
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
        # srun --kill-on-bad-exit ends the others as soon as one has left with 75; all have agreed, and are leaving.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(FINALIZE_S)
        mpi.MPICommunicator().finalize()
        signal.alarm(0)
    try:
        sys.stdout.flush()
    except OSError as error:
        unwritable(error)
    sys.exit(code)


def unwritable(error: OSError) -> NoReturn:
    """Standard output leads to a full disk."""
    tell(f"hpcjobs: error: the output cannot be written: {error.strerror}\n")
    os._exit(1)


if __name__ == "__main__":
    main()
