"""One rank's rows of a source, read and digested; and naming rows to the user."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.record import growing_leaf, leaf
from hpcjobs.data.schema import Rows, Variable
from hpcjobs.data.source import Reader, Source, locate_ids
from hpcjobs.errors import DataError
from hpcjobs.parallel.communicator import Communicator, on_all, on_root
from hpcjobs.parallel.shards import Shards

# Rows are dealt to ranks in at most so many fixed pieces, the leaves of the digest of a foreign file too.
PIECES = 16384
ROWS_AT_A_TIME = 2**18
# Bytes read before they are digested: few enough to be in a cache still, enough for threads to be worth it.
RUN_BYTES = 2**22
NAMED = 5


@dataclass(frozen=True)
class Slab:
    """rows (local rows, ...), the global number of the first, and the digest of the whole source."""

    rows: NDArray[Any]
    start: int
    digest: str


def shards_of(source: Source) -> Shards:
    """The fixed pieces in which the rows of a source are dealt to ranks."""
    return Shards(source.rows, min(source.rows, PIECES))


def read_slab(source: Source, communicator: Communicator) -> Slab:
    """Read this rank's rows, straight from the file where they are contiguous. Collective."""
    shards = shards_of(source)
    span = shards.rows(communicator.rank, communicator.size)
    rows = np.empty((len(span), *source.shape[1:]), dtype=source.dtype)

    def read() -> bytes:
        with Reader(source) as reader:
            if source.digest:
                reader.read(span.start, rows)
                return b""
            return _read_and_digest(reader, shards, shards.owned(communicator.rank, communicator.size), rows)

    leaves = on_all(communicator, read)
    if source.digest:
        return Slab(rows, span.start, source.digest)
    return Slab(rows, span.start, _of_foreign(communicator.allgather_object(leaves)))


def digest_rows(source: Source, communicator: Communicator) -> str:
    """The digest that `read_slab` gives, without the rows: those of a foreign file are read for it. Collective."""
    return source.digest or digest_values(source, communicator)


def digest_values(source: Source, communicator: Communicator) -> str:
    """The digest of what the rows hold, whatever file they lie in. Collective."""
    shards = shards_of(source)

    def read() -> bytes:
        leaves = []
        with Reader(source) as reader:
            for index in shards.owned(communicator.rank, communicator.size):
                span = shards.shard(index)
                found = growing_leaf()
                for block in reader.blocks(span.start, span.stop, max(1, RUN_BYTES // source.row_bytes)):
                    found.update(block.reshape(-1).view(np.uint8).data)
                leaves.append(found.digest())
        return b"".join(leaves)

    return _of_foreign(communicator.allgather_object(on_all(communicator, read)))


def _of_foreign(leaves: list[bytes]) -> str:
    return "rows:" + hashlib.sha256(b"".join(leaves)).hexdigest()


def _read_and_digest(reader: Reader, shards: Shards, owned: range, rows: NDArray[Any]) -> bytes:
    """Read the rows of some pieces and return the digests of these, each taken while its bytes are in the cache."""
    if len(rows) == 0:
        return b""
    start = shards.shard(owned.start).start
    step = max(1, RUN_BYTES * len(owned) // rows.nbytes)
    runs = [owned[first : first + step] for first in range(0, len(owned), step)]
    content, row_bytes = rows.reshape(-1).view(np.uint8).data, rows.nbytes // len(rows)

    def read(run: range) -> bytes:
        ends = [shards.shard(run.start).start - start] + [shards.shard(index).stop - start for index in run]
        reader.read(start + ends[0], rows[ends[0] : ends[-1]])
        return b"".join(leaf(content[row_bytes * a : row_bytes * b]) for a, b in pairwise(ends))

    # Two threads: one digests while the other waits for the file. HDF5 lets in one at a time.
    with ThreadPoolExecutor(1 if reader.source.offset is None else 2) as pool:
        return b"".join(pool.map(read, runs))


def identities(source: Source, communicator: Communicator, *, hold: bool = False) -> Variable:
    """The `/data/id` of this rank's rows, or numbers where there is none, as a coordinate of results.

    They are read when they are written; with `hold` at once, from a file that may be gone by then.
    """
    span = shards_of(source).rows(communicator.rank, communicator.size)
    if source.id_name is None:
        numbers = Rows(source.rows, span.start, np.dtype(np.int64), (), lambda: _numbers(span.start, span.stop))
        return Variable(("id",), numbers, "row number in the source")
    ids = on_root(communicator, lambda: locate_ids(source))

    def blocks() -> Iterator[NDArray[Any]]:
        with Reader(ids) as reader:
            yield from reader.blocks(span.start, span.stop, ROWS_AT_A_TIME)

    held = on_all(communicator, lambda: [*blocks()]) if hold else None
    rows = Rows(source.rows, span.start, ids.dtype, (), blocks if held is None else lambda: held)
    return Variable(("id",), rows, "row identity carried from the source")


def refuse_rows(source: Source, wrong: NDArray[np.int64], what: str, advice: str, communicator: Communicator) -> None:
    """Stop when any rank found wrong rows (global numbers); name the first by their identity. Collective."""
    found = communicator.allgather_object((len(wrong), [int(row) for row in wrong[:NAMED]]))
    total = sum(count for count, _ in found)
    if total == 0:
        return
    rows = [row for _, some in found for row in some][:NAMED]
    names = on_root(communicator, lambda: [name_row(source, row) for row in rows])
    more = f" and {total - len(names)} more" if total > len(names) else ""
    raise DataError(f"{source}: {total} of {source.rows} rows hold {what}: {', '.join(names)}{more}; {advice}")


def _numbers(start: int, stop: int) -> Iterator[NDArray[np.int64]]:
    for first in range(start, stop, ROWS_AT_A_TIME):
        yield np.arange(first, min(stop, first + ROWS_AT_A_TIME))


def identity(source: Source, row: int) -> int | str:
    """The identity of a row, or its number where it has none."""
    if source.id_name is None:
        return row
    with Reader(locate_ids(source)) as reader:
        value = next(iter(reader.blocks(row, row + 1, 1)))[0]
    return value.decode(errors="replace") if isinstance(value, bytes) else int(value)


def name_row(source: Source, row: int) -> str:
    """A row by its identity, or by its number where it has none."""
    return f"{'row' if source.id_name is None else 'id'} {identity(source, row)}"
