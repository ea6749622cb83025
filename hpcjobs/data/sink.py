"""The file that libhdf5 writes into. A full disk must end in a message, and libhdf5 would end in a crash."""

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from hpcjobs.data.blocks import LARGEST_READ
from hpcjobs.data.publish import write_at


@contextlib.contextmanager
def writable_hdf5(path: Path, mode: str, **options: Any) -> Iterator[h5py.File]:
    """Open the existing `path` with h5py to write (`w` or `r+`); an OSError when any byte was refused."""
    sink = Sink(path)
    try:
        try:
            with h5py.File(sink, mode, **options) as file:
                yield file
        finally:
            sink.close()
    except Exception:
        if sink.failure is None:
            raise
    if sink.failure is not None:
        raise sink.failure


class Sink(io.RawIOBase):
    """A file object that keeps its first failure for us and tells libhdf5 that all is well.

    libhdf5 2.0 ends in a segmentation fault when it cannot flush its metadata.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._position = 0
        self.failure: OSError | None = None

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        if self.failure is None:
            try:
                write_at(self._descriptor, self._position, view)
            except OSError as error:
                self.failure = error
        self._position += len(view)
        return len(view)

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        done = 0
        while count := os.preadv(self._descriptor, [view[done : done + LARGEST_READ]], self._position + done):
            done += count
        self._position += done
        return done

    def truncate(self, size: int | None = None) -> int:
        length = self._position if size is None else size
        if self.failure is None:
            try:
                os.ftruncate(self._descriptor, length)
            except OSError as error:
                self.failure = error
        return length

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        end = os.fstat(self._descriptor).st_size
        self._position = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: end}[whence] + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()
