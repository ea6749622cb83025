"""The IDX format of MNIST and its kin: a header of sizes, then the values, big-endian, plain or gzipped."""

import contextlib
import gzip
import re
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.npy import Header, streamed
from hpcjobs.data.table import BLOCK_BYTES, Target
from hpcjobs.errors import DataError
from hpcjobs.parallel.shards import Span

KINDS = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
NAME = re.compile(r"[.-]idx[1-4]?(-[a-z]+)?(\.gz)?$", re.IGNORECASE)


def is_idx(path: Path) -> bool:
    """Whether a file is one by its name (`train-images-idx3-ubyte.gz`, `a.idx`), or by its first bytes."""
    if NAME.search(path.name):
        return True
    with path.open("rb") as file:
        head = file.read(4)
    return path.suffix == "" and len(head) == 4 and head[:2] == b"\0\0" and head[2] in KINDS and 1 <= head[3] <= 4


def open_idx(path: Path, axes: tuple[int, ...], expected: str) -> Header:
    """The header of an IDX file with one of the numbers of axes."""
    with _opened(path) as file:
        head = file.read(4)
        if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in KINDS:
            raise DataError(f"{path}: not an IDX file (it begins with {head.hex(' ') or 'nothing'})")
        sizes = file.read(4 * head[3])
    shape = tuple(int(size) for size in np.frombuffer(sizes[: len(sizes) // 4 * 4], ">u4"))
    if len(shape) != head[3] or len(shape) not in axes:
        raise DataError(f"{path}: has {head[3]} axes {shape}, expected {expected}")
    if 0 in shape:
        raise DataError(f"{path}: is empty, shape {shape}")
    header = Header(shape, False, np.dtype(KINDS[head[2]]), 4 + len(sizes))
    size = path.stat().st_size
    if path.suffix.lower() != ".gz" and header.offset + header.bytes != size:
        raise DataError(
            f"{path}: its header promises shape {shape} of {header.dtype}, that is {header.offset + header.bytes} "
            f"bytes, where the file has {size}: truncated or no IDX file; make it again"
        )
    return header


def idx_blocks(path: Path, header: Header, span: Span) -> Iterator[NDArray[Any]]:
    """The rows of a span (rows, ...), block by block; images (rows, height, width) get a channel."""
    with _opened(path) as file:
        before = header.offset + span.start * header.row_bytes
        if path.suffix.lower() != ".gz":
            file.seek(before)
            before = 0
        while before and (content := file.read(min(before, BLOCK_BYTES))):
            before -= len(content)
        for block in streamed(file, header, span, str(path)):
            yield block[..., np.newaxis] if block.ndim == 3 else block
        if span.stop == header.shape[0] and file.read(1):
            raise DataError(f"{path}: goes on after its last row; make it again")


def open_labels(path: Path, rows: int) -> Target:
    """The target in an IDX file of one axis, one whole number a row."""
    header = open_idx(path, (1,), "1 axis: one label a row")
    if header.dtype.kind not in "iu":
        raise DataError(f"--labels {path}: holds {header.dtype}, expected whole numbers")
    if header.shape[0] != rows:
        raise DataError(f"--labels {path}: {header.shape[0]} labels for {rows} rows; name the file that belongs to it")
    return Target("integer", np.dtype(np.int64), partial(idx_blocks, path, header))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            yield cast(IO[bytes], file)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: not a readable gzip file ({error}); make it again") from None
