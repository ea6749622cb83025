"""Reading bytes of a file, each block checked against its digest when it is first read."""

import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hpcjobs.data.record import BLOCK, LEAF, USER_BLOCK, growing_leaf, read_record
from hpcjobs.errors import DataError

# Linux moves at most 2 GiB - 4 KiB per read.
LARGEST_READ = 2**30
# Bytes digested at a time, right after they were read: still in the second-level cache.
CHUNK = 2**18
# Reads from here on are shared by two threads: one works while the other waits for the file.
WORTH_SHARING = 16 * BLOCK


class BlockFile(io.RawIOBase):
    """A file opened for reading: of ours with every block verified, of others as it is.

    It is also the file object handed to h5py, so that damage is found before libhdf5 parses it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._descriptor = -1
        self._position = 0
        try:
            # Without O_NONBLOCK a pipe would keep us waiting for somebody to write into it.
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            self.size = os.fstat(self._descriptor).st_size
            found = read_record(self._descriptor, path)
        except FileNotFoundError:
            raise DataError(f"{path}: no such file (looked in {path.parent.resolve()})") from None
        except IsADirectoryError:
            raise DataError(f"{path}: this is a folder; name an HDF5 file in it") from None
        except PermissionError:
            raise DataError(f"{path}: no permission to read it; ask its owner, or run `chmod u+r`") from None
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from None
        except BaseException:
            self.close()
            raise
        self.record = found[0] if found else None
        self._leaves = found[1] if found else b""
        self._verified = bytearray(self.record.blocks if self.record else 0)

    def pread_into(self, offset: int, buffer: Any) -> None:
        """Fill `buffer` with the bytes at `offset`; DataError at the end of the file or on damage."""
        view = memoryview(buffer).cast("B")
        if len(view) < WORTH_SHARING:
            self._pread(offset, view)
            return
        middle = len(view) // 2 - (offset + len(view) // 2 - USER_BLOCK) % BLOCK  # no block is read by both
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(self._pread, offset, view[:middle])
            second = pool.submit(self._pread, offset + middle, view[middle:])
        first.result()
        second.result()

    def _pread(self, offset: int, view: memoryview) -> None:
        if self.record is None:
            self._read_exactly(offset, view)
            return
        end = USER_BLOCK + self.record.length  # the leaves that follow are no data
        position, stop = offset, offset + len(view)
        while position < stop:
            if position < USER_BLOCK:  # nothing for HDF5 here, so it sees zeros whatever the bytes say
                run = min(stop, USER_BLOCK) - position
                view[position - offset : position - offset + run] = bytes(run)
            elif position >= end:
                raise DataError(f"{self.path}: a read beyond the end of the HDF5 data, at byte {position}")
            else:
                run = self._read_in_block(position, min(stop, end), end, view[position - offset :])
            position += run

    def _read_in_block(self, position: int, stop: int, end: int, view: memoryview) -> int:
        """Read from `position` to the end of its block or `stop`; return how many bytes that was."""
        index = (position - USER_BLOCK) // BLOCK
        first = USER_BLOCK + index * BLOCK
        last = min(first + BLOCK, end)
        run = min(stop, last) - position
        part = view[:run]
        if self._verified[index]:
            self._read_exactly(position, part)
        elif position == first and run == last - first:
            self._read_block(index, part)
        else:
            block = memoryview(bytearray(last - first))
            self._read_block(index, block)
            part[:] = block[position - first : position - first + run]
        return run

    def _read_block(self, index: int, block: memoryview) -> None:
        """Read a whole block and compare its digest with the one on record."""
        first = USER_BLOCK + index * BLOCK
        found = growing_leaf()
        for start in range(0, len(block), CHUNK):
            chunk = block[start : start + CHUNK]
            self._read_exactly(first + start, chunk)
            found.update(chunk)
        if found.digest() != self._leaves[LEAF * index : LEAF * (index + 1)]:
            raise DataError(
                f"{self.path}: block {index} (bytes {first} to {first + len(block)}) is damaged: "
                "its digest differs from the one recorded when it was written; restore the file from a copy"
            )
        self._verified[index] = 1

    def _read_exactly(self, offset: int, view: memoryview) -> None:
        done = 0
        while done < len(view):
            count = os.preadv(self._descriptor, [view[done : done + LARGEST_READ]], offset + done)
            if count == 0:
                raise DataError(
                    f"{self.path}: ends at byte {offset + done} where {len(view) - done} more were expected: "
                    "truncated; restore the file from a copy"
                )
            done += count

    def verify_all(self) -> int:
        """Check every block; return how many there were."""
        if self.record is None:
            return 0
        buffer = bytearray(BLOCK)
        for index in range(self.record.blocks):
            first = USER_BLOCK + index * BLOCK
            length = min(BLOCK, USER_BLOCK + self.record.length - first)
            self.pread_into(first, memoryview(buffer)[:length])
        return self.record.blocks

    # What h5py asks of a file object.

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        length = max(0, min(len(view), self.size - self._position))
        self.pread_into(self._position, view[:length])
        self._position += length
        return length

    def close(self) -> None:
        if not self.closed and self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        super().close()


def root_of(path: Path) -> str:
    """The file digest; "" of a file that another program wrote."""
    with BlockFile(path) as raw:
        return raw.record.root if raw.record else ""
