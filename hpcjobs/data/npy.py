"""The .npy format: its header, checked before it is believed, and its rows in blocks."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.table import BLOCK_BYTES
from hpcjobs.errors import DataError
from hpcjobs.parallel.shards import Span


@dataclass(frozen=True)
class Header:
    """What stands before the values in the .npy format."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    offset: int

    @property
    def bytes(self) -> int:
        return int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize

    @property
    def row_bytes(self) -> int:
        return self.bytes // self.shape[0]


def open_npy(path: Path) -> Header:
    """The header of a .npy file that is long enough for what it promises."""
    with path.open("rb") as file:
        header = read_header(file, str(path))
    size = path.stat().st_size
    if header.offset + header.bytes > size:
        raise DataError(
            f"{path}: its header promises shape {header.shape} of {header.dtype}, that is "
            f"{header.offset + header.bytes} bytes, where the file has {size}: truncated; save it again"
        )
    return header


def npy_blocks(path: Path, header: Header, span: Span) -> Iterator[NDArray[Any]]:
    """The rows of a span of a .npy file, block by block (rows, features)."""
    with path.open("rb") as file:
        if header.fortran:
            yield from mapped(file, header, span)
        else:
            file.seek(header.offset + span.start * header.row_bytes)
            yield from streamed(file, header, span, str(path))


def read_header(file: IO[bytes], where: str) -> Header:
    """The header at the beginning of `file`, refused when it tells of anything but a table of numbers."""
    # 1.0 and 2.0 are all that np.save writes for numbers; 3.0 is for tables with named fields.
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        version = np.lib.format.read_magic(file)
        if version not in readers:
            raise DataError(f"{where}: .npy format {version} holds no plain numbers; save a numeric array")
        shape, fortran, dtype = readers[version](file)
    except (ValueError, EOFError, OSError, SyntaxError, TokenError) as error:
        raise DataError(f"{where}: not a readable .npy file ({error})") from None
    header = Header(shape, fortran, dtype, file.tell())
    if dtype.hasobject:
        raise DataError(f"{where}: holds pickled objects, which can run code; save it as a numeric array")
    if dtype.kind not in "fiub":
        raise DataError(f"{where}: holds {dtype}, not numbers; save it as a float, integer or boolean array")
    if len(shape) != 2:
        raise DataError(
            f"{where}: has {len(shape)} axes {shape} where 2 are needed (rows x features); "
            "reshape it, e.g. with array.reshape(len(array), -1)"
        )
    if min(shape) < 1:
        raise DataError(f"{where}: is empty, shape {shape}")
    return header


def streamed(file: IO[bytes], header: Header, span: Span, where: str) -> Iterator[NDArray[Any]]:
    """Blocks (rows, ...) of the row-major values of a span, of a file that stands at its first byte."""
    step = _step(header)
    width = header.row_bytes // header.dtype.itemsize
    for first in range(span.start, span.stop, step):
        rows = min(step, span.stop - first)
        content = file.read(rows * width * header.dtype.itemsize)
        values = np.frombuffer(content[: len(content) // header.dtype.itemsize * header.dtype.itemsize], header.dtype)
        if len(values) < rows * width:
            raise DataError(f"{where}: ends in row {first + len(values) // width} of {header.shape[0]}: truncated")
        yield values.reshape(rows, *header.shape[1:])


def mapped(file: IO[bytes], header: Header, span: Span) -> Iterator[NDArray[Any]]:
    """Blocks of column-major values: a row lies scattered over the whole file, so it is mapped."""
    values = np.memmap(file, header.dtype, "r", header.offset, header.shape, order="F")
    step = _step(header)
    for first in range(span.start, span.stop, step):
        yield np.array(values[first : min(first + step, span.stop)], order="C")


def _step(header: Header) -> int:
    return max(1, BLOCK_BYTES // header.row_bytes)
