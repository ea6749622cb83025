"""The commit record: how a file of ours proves that it is whole before libhdf5 sees a byte of it.

Layout of a file: 1 MiB user block, whose first line says what the file is and whose second is the record; the
HDF5 file proper (`length` bytes); then one 16-byte leaf (XXH3-128) for every 4 MiB block of it. The record
holds the length and the root: SHA-256 over length and leaves. See docs/file-format.md.
"""

import contextlib
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import xxhash

from hpcjobs.errors import DataError

USER_BLOCK = 2**20
BLOCK = 2**22
LEAF = 16
MAGIC = b"hpcjobs file, format 1: the HDF5 data begin at byte 1048576\n"


@dataclass(frozen=True)
class Record:
    """What the user block says about the HDF5 file behind it."""

    length: int
    root: str

    def encode(self) -> bytes:
        text = json.dumps(asdict(self), sort_keys=True)
        check = hashlib.sha256(text.encode()).hexdigest()
        return MAGIC + f"{text} {check}\n".encode()

    @property
    def blocks(self) -> int:
        return -(-self.length // BLOCK)


def leaf(block: Any) -> bytes:
    """Digest of one block (any buffer)."""
    return xxhash.xxh3_128_digest(block)


def growing_leaf() -> xxhash.xxh3_128:
    """The digest of one block, fed piece by piece."""
    return xxhash.xxh3_128()


def make_record(length: int, leaves: bytes) -> Record:
    """The record of an HDF5 file of `length` bytes with these leaves, one after another."""
    root = hashlib.sha256(length.to_bytes(8, "little") + leaves).hexdigest()
    return Record(length, root)


def read_record(descriptor: int, path: Path) -> tuple[Record, bytes] | None:
    """Record and leaves of an open file; None when another program wrote it; DataError when it is damaged."""
    head = os.pread(descriptor, 4096, 0)
    if not head.startswith(MAGIC):
        alike = sum(found == ours for found, ours in zip(head, MAGIC, strict=False))
        if 2 * alike > len(MAGIC):
            raise DataError(f"{path}: the header of this hpcjobs file is damaged or of a newer format")
        return None
    line = head[len(MAGIC) :].split(b"\n", 1)[0].decode(errors="replace")
    text, _, check = line.rpartition(" ")
    if hashlib.sha256(text.encode()).hexdigest() != check:
        raise DataError(f"{path}: the commit record in its user block is damaged; restore the file from a copy")
    record = _decoded(text, path)
    size = os.fstat(descriptor).st_size
    expected = USER_BLOCK + record.length + LEAF * record.blocks
    if size != expected:
        raise DataError(
            f"{path}: the file has {size} bytes where its record says {expected}; "
            "it was truncated or changed after it was written: restore it from a copy"
        )
    leaves = os.pread(descriptor, LEAF * record.blocks, USER_BLOCK + record.length)
    if make_record(record.length, leaves) != record:
        raise DataError(f"{path}: its block digests do not match its record; restore the file from a copy")
    return record, leaves


def _decoded(text: str, path: Path) -> Record:
    """The record in a line whose check is right, which anybody can make so."""
    with contextlib.suppress(ValueError, TypeError, KeyError):
        found = json.loads(text)
        length, root = found["length"], found["root"]
        if isinstance(length, int) and 0 < length < 2**62 and isinstance(root, str):
            return Record(length, root)
    raise DataError(f"{path}: the commit record in its user block makes no sense; restore the file from a copy")
