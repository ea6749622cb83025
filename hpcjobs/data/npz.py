"""One array of an .npz archive, unpacked while it is read."""

import contextlib
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from numpy.typing import NDArray

from hpcjobs.data.npy import Header, mapped, read_header, streamed
from hpcjobs.data.table import BLOCK_BYTES
from hpcjobs.errors import DataError, nearest
from hpcjobs.parallel.shards import Span


def find_member(path: Path, name: str | None) -> tuple[str, Header]:
    """The array that `/name` names, or the only one: its key and header."""
    with _opened(path) as archive:
        keys = [member.removesuffix(".npy") for member in archive.namelist() if member.endswith(".npy")]
        key = name.strip("/") if name else keys[0] if len(keys) == 1 else None
        if key is None:
            some = ", ".join(f"{path}:/{known}" for known in keys[:5])
            raise DataError(f"{path}: holds {len(keys)} arrays; say which: {some}")
        if key not in keys:
            raise DataError(f"{path}: no array {key!r} in it; {nearest(key, keys)}")
        with archive.open(f"{key}.npy") as member:
            header = read_header(member, f"{path}:/{key}")
        stored = archive.getinfo(f"{key}.npy").file_size
    if header.offset + header.bytes > stored:
        raise DataError(f"{path}:/{key}: {header.shape} of {header.dtype} does not fit in its {stored} bytes")
    return key, header


def npz_blocks(path: Path, key: str, header: Header, span: Span) -> Iterator[NDArray[Any]]:
    """The rows of a span of one array, block by block (rows, features)."""
    with _opened(path) as archive, archive.open(f"{key}.npy") as member:
        if header.fortran:
            with tempfile.TemporaryFile() as unpacked:
                shutil.copyfileobj(member, unpacked, BLOCK_BYTES)
                unpacked.flush()
                yield from mapped(cast(IO[bytes], unpacked), header, span)
        else:
            # Read, not skipped: the checksum at the end covers all of it.
            before = header.offset + span.start * header.row_bytes
            while before and (content := member.read(min(before, BLOCK_BYTES))):
                before -= len(content)
            yield from streamed(member, header, span, f"{path}:/{key}")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path}: not a readable .npz file ({error}); save it again") from None
