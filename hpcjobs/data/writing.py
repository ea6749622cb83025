"""Writing one HDF5 file from any number of ranks with the serial h5py wheel.

Rank 0 lays the data sets out and closes the file; every rank writes its rows at their byte offset; the ranks
share the digest pass; rank 0 adds the commit record; `publish` renames.
"""

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from hpcjobs.data import journal
from hpcjobs.data.layout import lay_out
from hpcjobs.data.publish import publish, write_at
from hpcjobs.data.record import BLOCK, USER_BLOCK, growing_leaf, make_record
from hpcjobs.data.resultdigest import result_digest
from hpcjobs.data.schema import Contents, Rows
from hpcjobs.data.sink import writable_hdf5
from hpcjobs.parallel.communicator import Communicator, SerialCommunicator, on_all, on_root
from hpcjobs.parallel.shards import piece


def write_file(
    path: Path,
    contents: Contents,
    communicator: Communicator | None = None,
    *,
    durable: bool = True,
    before_rename: Callable[[], None] = lambda: None,
    resume: str = "",
) -> str:
    """Publish `contents` as one file; return its result digest ("" without `/result`). Collective.

    With `resume`, which names what is written, a writer that was killed finds its blocks of rows again; one data set
    may have such blocks (`Rows.again`).
    """
    comm = communicator or SerialCommunicator()
    go_on = (lambda found: journal.offsets_in(found, resume) is not None) if resume else None
    with publish(path, comm, durable=durable, before_rename=before_rename, go_on=go_on) as temporary:
        offsets = on_root(comm, lambda: _laid_out(temporary, contents, resume))
        on_all(comm, lambda: _write_rows(temporary, contents, offsets, bool(resume)))
        digest = on_root(comm, lambda: _add_result_digest(temporary))
        leaves = on_all(comm, lambda: _leaves(temporary, comm))
        gathered = b"".join(comm.allgather_object(leaves))
        on_root(comm, lambda: _commit(temporary, gathered, bool(resume)))
    return digest


def _laid_out(path: Path, contents: Contents, resume: str) -> dict[str, int]:
    """The byte offsets of the data sets that come in rows, in a file new or found unfinished."""
    if resume and (found := journal.offsets_in(path, resume)) is not None:
        return found
    offsets = lay_out(path, contents)
    if resume:
        journal.begin(path, resume, offsets)
    return offsets


def _write_rows(path: Path, contents: Contents, offsets: dict[str, int], journaled: bool) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        for name, variable in contents.variables.items():
            rows = variable.values
            if name not in offsets or not isinstance(rows, Rows):
                continue
            if journaled and rows.again:
                journal.write_missing(descriptor, offsets[name], rows, rows.again)
            else:
                _write_blocks(descriptor, offsets[name], rows)
    finally:
        os.close(descriptor)


def _write_blocks(descriptor: int, offset: int, rows: Rows) -> None:
    row_bytes = int(np.prod(rows.row_shape, dtype=np.int64)) * rows.dtype.itemsize
    position = offset + rows.start * row_bytes
    for block in rows.blocks():
        data = np.ascontiguousarray(block, dtype=rows.dtype.newbyteorder("<"))
        view = data.reshape(-1).view(np.uint8).data
        write_at(descriptor, position, view)
        position += len(view)


def _add_result_digest(path: Path) -> str:
    with writable_hdf5(path, "r+", track_order=True) as file:
        if "result_digest" not in file.attrs:
            return ""
        digest = result_digest(file)
        stored = h5py.string_dtype("utf-8", len(digest))
        file.attrs.modify("result_digest", np.array(digest.encode(), dtype=stored))  # in place: the size stays
    return digest


def _leaves(path: Path, comm: Communicator) -> bytes:
    """Digests of this rank's share of the blocks."""
    length = path.stat().st_size - USER_BLOCK
    share = piece(-(-length // BLOCK), comm.size, comm.rank)
    found = []
    buffer = memoryview(bytearray(2**18))  # small, so that bytes are digested while in the cache
    with path.open("rb", buffering=0) as file:
        file.seek(USER_BLOCK + share.start * BLOCK)
        for index in range(share.start, share.stop):
            digest, left = growing_leaf(), min(BLOCK, length - index * BLOCK)
            while left > 0:
                count = file.readinto(buffer[:left])
                assert count, "the file shrank while it was written"
                digest.update(buffer[:count])
                left -= count
            found.append(digest.digest())
    return b"".join(found)


def _commit(path: Path, leaves: bytes, journaled: bool = False) -> None:
    """Add leaves and record; a journal in the place of the record goes."""
    size = path.stat().st_size
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        write_at(descriptor, size, memoryview(leaves))
        record = make_record(size - USER_BLOCK, leaves).encode()
        write_at(descriptor, 0, memoryview(record.ljust(USER_BLOCK if journaled else 0, b"\0")))
    finally:
        os.close(descriptor)
