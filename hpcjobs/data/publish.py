"""The one way a file of ours comes into being: written aside, then renamed.

A name without `.tmp` is complete or is not there; on any error the old file stays.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from hpcjobs.errors import DataError
from hpcjobs.parallel.communicator import Communicator, SerialCommunicator, on_all, on_root


@contextlib.contextmanager
def publish(
    path: Path,
    communicator: Communicator | None = None,
    *,
    durable: bool = True,
    before_rename: Callable[[], None] = lambda: None,
    go_on: Callable[[Path], bool] | None = None,
) -> Iterator[Path]:
    """Yield a temporary name beside `path` for all ranks to write to; on success it becomes `path`.

    Collective. `before_rename` runs on rank 0 at the last moment (the lease looks there whether the folder is
    still ours). With `durable`, bytes and name are on the disk on return (fsync of file and folder).
    With `go_on`, the temporary file stays when we are killed or stopped, and is handed out again when `go_on` takes it.
    """
    comm = communicator or SerialCommunicator()
    lock = contextlib.ExitStack()
    try:
        temporary = on_root(comm, lambda: (go_on and _claim(path, go_on, lock)) or _create(path))
    except OSError as error:
        raise _explained(path, error) from None
    try:
        yield temporary
        if durable:
            on_all(comm, lambda: _fsync(temporary))
        on_root(comm, lambda: _rename(temporary, path, before_rename, durable))
    except BaseException as error:
        if comm.rank == 0 and not (temporary == unfinished(path) and not isinstance(error, Exception)):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _explained(path, error) from None
        raise
    finally:
        lock.close()


def unfinished(path: Path) -> Path:
    """Where a writer that can be continued keeps the file until it is whole."""
    return path.with_name(f".{path.name}.unfinished.tmp")


@contextlib.contextmanager
def scratch(path: Path, communicator: Communicator) -> Iterator[Path]:
    """Yield a temporary name beside `path` for all ranks to keep bytes in; nothing of it stays. Collective."""
    try:
        temporary = on_root(communicator, lambda: _create(path))
    except OSError as error:
        raise _explained(path, error) from None
    try:
        yield temporary
    except OSError as error:
        raise _explained(path, error) from None
    finally:
        if communicator.rank == 0:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def scratch_folder(path: Path, communicator: Communicator) -> Iterator[Path]:
    """Yield a new folder of ours alone beside `path`, for files that nobody needs later. Collective."""
    try:
        made = on_root(communicator, lambda: Path(tempfile.mkdtemp(".tmp", f".{path.name}.", path.parent)))
    except OSError as error:
        raise _explained(path, error) from None
    try:
        yield made
    finally:
        if communicator.rank == 0:
            shutil.rmtree(made, ignore_errors=True)


def publish_bytes(
    path: Path, content: bytes, before_rename: Callable[[], None] = lambda: None, *, durable: bool = True
) -> None:
    """Publish a small file whole, from one rank."""
    with publish(path, before_rename=before_rename, durable=durable) as temporary:
        temporary.write_bytes(content)


def write_at(descriptor: int, offset: int, view: memoryview) -> None:
    """Write all of `view` at `offset` of an open file."""
    done = 0
    while done < len(view):
        done += os.pwrite(descriptor, view[done : done + 2**30], offset + done)


def _explained(path: Path, error: OSError) -> DataError:
    advice = {
        errno.ENOSPC: "free some space on that disk",
        errno.EDQUOT: "your quota there is used up: free some space",
        errno.EACCES: "make the folder writable",
        errno.EROFS: "that file system is read-only: choose another place",
        errno.ENOENT: "make the folder first",
    }
    todo = advice.get(error.errno or 0, "see to that disk")
    kept = "the file of that name stays as it was" if path.exists() else "nothing was left there"
    why = os.strerror(error.errno) if error.errno else error
    return DataError(f"{path}: cannot be written: {why}; {kept}; {todo}, then try again")


def _claim(path: Path, go_on: Callable[[Path], bool], lock: contextlib.ExitStack) -> Path | None:
    """The unfinished file, locked while we live; a new one when there is none that `go_on` takes.

    None where another process writes it, or where the file system has no locks: then we work on a file of our own.
    """
    temporary = unfinished(path)
    for _ in range(2):
        try:
            descriptor = os.open(temporary, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        except OSError:
            return None
        lock.callback(os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            status = os.fstat(descriptor)
            if status.st_uid != os.geteuid() or status.st_ino != temporary.stat().st_ino:
                return None
            if status.st_size == 0 or go_on(temporary):
                return temporary
            temporary.unlink()  # not emptied: a rank of its writer may live a moment longer than the one with the lock
        except OSError:
            return None
    return None


def _create(path: Path) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666))
    return temporary


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _rename(temporary: Path, path: Path, before: Callable[[], None], durable: bool) -> None:
    before()
    temporary.rename(path)
    if durable:
        _fsync(path.parent)
