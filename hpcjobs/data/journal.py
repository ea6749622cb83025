"""The journal of an unfinished file: which blocks of rows are in it, so that a writer that was killed goes on.

It stands where the commit record will: a line in the user block says what is being written and where its data
sets lie; from byte 4096 on, a 16-byte digest (XXH3-128) for each block of rows that has been written.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hpcjobs.data.publish import write_at
from hpcjobs.data.record import LEAF, USER_BLOCK, growing_leaf
from hpcjobs.data.schema import Again, Rows
from hpcjobs.parallel.shards import Span

SLOTS = 4096
MOST_BLOCKS = (USER_BLOCK - SLOTS) // LEAF
MARK = b"hpcjobs file, unfinished: "
BYTES_AT_A_TIME = 2**22


def begin(path: Path, key: str, offsets: dict[str, int]) -> None:
    """Enter what is being written (`key`) and where its data sets lie, once they are laid out."""
    text = json.dumps({"key": key, "offsets": offsets, "size": path.stat().st_size}).encode()
    line = MARK + text + b" " + hashlib.sha256(text).hexdigest().encode() + b"\n"
    assert len(line) <= SLOTS, "too many data sets for a journal"
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)  # what the line speaks of lies on the disk before it does
        write_at(descriptor, 0, memoryview(line))
    finally:
        os.close(descriptor)


def offsets_in(path: Path, key: str) -> dict[str, int] | None:
    """Where the data sets of an unfinished file lie; None when it is none, or another one than `key`."""
    with path.open("rb") as file:
        head = file.read(SLOTS)
    text, _, check = head.removeprefix(MARK).split(b"\n")[0].rpartition(b" ")
    if not head.startswith(MARK) or hashlib.sha256(text).hexdigest().encode() != check:
        return None
    told = json.loads(text)
    if told["key"] != key or told["size"] != path.stat().st_size:
        return None
    offsets: dict[str, int] = told["offsets"]
    return offsets


def write_missing(descriptor: int, offset: int, rows: Rows, again: Again) -> None:
    """Write the blocks of this rank that are not in the file yet; one is when its bytes have the digest entered."""
    row_bytes = int(np.prod(rows.row_shape, dtype=np.int64)) * rows.dtype.itemsize
    step = again.block_rows

    def place(index: int) -> tuple[int, int]:
        """First byte and length of a block."""
        first, last = index * step, min((index + 1) * step, rows.total)
        return offset + first * row_bytes, (last - first) * row_bytes

    blocks = range(again.span.start // step, -(-again.span.stop // step))
    missing = [index for index in blocks if not _is_there(descriptor, index, *place(index))]
    for run in _runs(missing):
        index, leaf, left = run.start, growing_leaf(), place(run.start)[1]
        position = place(run.start)[0]
        for block in again.between(Span(run.start * step, min(run.stop * step, rows.total))):
            data = np.ascontiguousarray(block, dtype=rows.dtype.newbyteorder("<"))
            view = data.reshape(-1).view(np.uint8).data
            while len(view):
                part, view = view[:left], view[left:]
                write_at(descriptor, position, part)
                leaf.update(part)
                position, left = position + len(part), left - len(part)
                if left == 0:
                    write_at(descriptor, SLOTS + LEAF * index, memoryview(leaf.digest()))
                    index, leaf = index + 1, growing_leaf()
                    left = place(index)[1] if index < run.stop else 0


def _is_there(descriptor: int, index: int, start: int, length: int) -> bool:
    entered = os.pread(descriptor, LEAF, SLOTS + LEAF * index)
    if not any(entered):
        return False
    leaf = growing_leaf()
    for first in range(0, length, BYTES_AT_A_TIME):
        leaf.update(os.pread(descriptor, min(BYTES_AT_A_TIME, length - first), start + first))
    return leaf.digest() == entered


def _runs(numbers: list[int]) -> Iterator[range]:
    """The numbers, which rise, as runs without gaps.

    >>> list(_runs([0, 1, 4]))
    [range(0, 2), range(4, 5)]
    """
    start = 0
    for position in range(1, len(numbers) + 1):
        if position == len(numbers) or numbers[position] != numbers[position - 1] + 1:
            yield range(numbers[start], numbers[position - 1] + 1)
            start = position
