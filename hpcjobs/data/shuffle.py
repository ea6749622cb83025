"""One global shuffle of a data set, of any size, with everything that belongs to a row.

The order is defined by the seed alone: row r has word r of the generator of "data shuffle" as its key, and rows are
sorted by their keys (equal ones, which 2**64 keys make rare, by r). Neither ranks nor memory enter.
"""

import contextlib
import itertools
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.blocks import root_of
from hpcjobs.data.buckets import Buckets, count_bins, cut
from hpcjobs.data.dealing import deal, dealt, ordered
from hpcjobs.data.lookup import locate_samples
from hpcjobs.data.publish import scratch
from hpcjobs.data.samples import Column, Read, Samples, carried, reading
from hpcjobs.data.schema import Contents, Variable
from hpcjobs.data.slab import digest_rows
from hpcjobs.data.table import Progress, refuse_existing
from hpcjobs.data.writing import write_file
from hpcjobs.errors import SettingsError
from hpcjobs.parallel.communicator import Communicator, SerialCommunicator, on_all, on_root
from hpcjobs.parallel.memory import free_memory
from hpcjobs.parallel.randomness import words
from hpcjobs.parallel.shards import Span, piece

PURPOSE = "data shuffle"
SMALLEST_WRITE = 2**20
# Beside a row itself: its key, its place in the order and what sorting needs.
BYTES_BESIDE = 32
KEY = Column(None, (0,), np.dtype(np.uint64), ("id",), "key")


@dataclass(frozen=True)
class ShuffleReport:
    """What a shuffle made."""

    out: Path
    rows: int
    carried: tuple[str, ...]
    buckets: int  # 1: all in memory, in one pass
    digest: str  # root of the file digest

    def __str__(self) -> str:
        passes = "one pass" if self.buckets == 1 else f"two passes, {self.buckets} buckets"
        return f"{self.out}: {self.rows} rows shuffled ({', '.join(self.carried)}; {passes})"


def shuffle(
    source: str,
    out: Path,
    seed: int = 0,
    memory: int | None = None,
    *,
    communicator: Communicator | None = None,
    force: bool = False,
    progress: Progress = lambda done, total: None,
) -> ShuffleReport:
    """Write the rows of `source` in the order that `seed` gives. Collective.

    Each rank holds at most about `memory` bytes (None: what is free); `progress` hears (bytes moved, bytes to move) of
    this rank.
    """
    comm = communicator or SerialCommunicator()
    samples = on_root(comm, lambda: check(source, out, seed, force))
    budget = (free_memory(comm) if memory is None else memory) // 2
    widest = max(column.row_bytes for column in samples.columns.values())
    most = budget // (widest + BYTES_BESIDE)
    if most == 0:
        _refuse_memory(budget, samples.rows, widest)
    share = piece(samples.rows, comm.size, comm.rank)
    draw: Read = partial(_draw, seed)
    keys = draw
    buckets = cut(count_bins(draw, share), samples.rows, most, comm)
    if buckets.largest > most or (buckets.count > comm.size and budget // buckets.count < SMALLEST_WRITE):
        _refuse_memory(budget, samples.rows, widest)
    owned = buckets.owned(comm.rank, comm.size)
    heard = _Heard(progress, samples, (len(share) if buckets.count > 1 else 0) + sum(map(len, owned)))

    def blocks(name: str, column: Column) -> Iterator[NDArray[Any]]:
        for span in owned:
            for block in ordered(column, reads[name], keys, span):
                yield block
                heard.more(block.nbytes)

    with contextlib.ExitStack() as stack:
        if buckets.count == 1:
            reads = {name: stack.enter_context(reading(column)) for name, column in samples.columns.items()}
        else:
            file = os.open(stack.enter_context(scratch(out, comm)), os.O_RDWR | os.O_CLOEXEC)
            stack.callback(os.close, file)
            offsets = _offsets(samples)
            on_all(comm, lambda: _deal(samples, draw, share, buckets, budget, file, heard))
            reads = {name: dealt(file, offset) for name, offset in offsets.items()}
            keys = dealt(file, 0)
        variables = {
            f"/data/{name}": column.variable(samples.rows, owned[0].start, partial(blocks, name, column))
            for name, column in samples.columns.items()
        }
        write_file(out, _contents(samples, variables, seed, comm), comm)
    return on_root(comm, lambda: ShuffleReport(out, samples.rows, tuple(samples.columns), buckets.count, root_of(out)))


def check(source: str, out: Path, seed: int, force: bool) -> Samples:
    """Find every mistake that can be found without reading the rows."""
    if seed < 0:
        raise SettingsError(f"--seed {seed}: expected 0 or more")
    samples = locate_samples(source)
    if out.exists() and out.samefile(samples.file):
        raise SettingsError(f"{out}: is the source itself; name another file to write")
    refuse_existing(out, force)
    return samples


def derived(samples: Samples, command: str, comm: Communicator) -> dict[str, str]:
    """Root attributes of a file made from another: how, from which bytes, and of when these are. Collective.

    With the time of the source in place of the clock's, the same rows and settings give the same file digest.
    """
    column = samples.columns.get("x", samples.columns["id"])
    assert column.source is not None
    return {"source": command, "source_digest": digest_rows(column.source, comm), "created": samples.created}


def _contents(samples: Samples, variables: dict[str, Variable], seed: int, comm: Communicator) -> Contents:
    attributes = derived(samples, f"hpcjobs data shuffle {samples.file.name} --seed {seed}", comm)
    everything = variables | carried(samples, comm.rank, comm.size)
    return Contents("input", f"{samples.title}, shuffled", everything, attributes=attributes)


def _draw(seed: int, start: int, out: NDArray[Any]) -> None:
    """The keys of rows from `start` on."""
    out[...] = words(seed, PURPOSE, start, start + len(out))


def _offsets(samples: Samples) -> dict[str, int]:
    """Where each column begins in the scratch file; the keys come first."""
    sizes = [KEY.row_bytes, *(column.row_bytes for column in samples.columns.values())]
    return dict(zip(samples.columns, (samples.rows * end for end in itertools.accumulate(sizes)), strict=False))


def _deal(samples: Samples, draw: Read, share: Span, buckets: Buckets, budget: int, file: int, heard: "_Heard") -> None:
    """The first pass: keys and columns to their buckets."""
    for _ in deal(KEY, draw, draw, share, buckets, max(1, budget // BYTES_BESIDE), file, 0):
        pass
    for name, offset in _offsets(samples).items():
        column = samples.columns[name]
        step = budget // (column.row_bytes + BYTES_BESIDE)
        with reading(column) as read:
            for done in deal(column, read, draw, share, buckets, step, file, offset):
                heard.more(done)


def _refuse_memory(budget: int, rows: int, widest: int) -> NoReturn:
    """Say how much would do: two rows, and buckets so few that what is written to each at a time is large enough."""
    least = max(4 * (widest + BYTES_BESIDE), 2 * math.isqrt(rows * (widest + BYTES_BESIDE) * SMALLEST_WRITE) * 11 // 10)
    raise SettingsError(
        f"--memory {2 * budget}: too little to shuffle {rows} rows of {widest} bytes without countless small reads; "
        f"give each rank at least {math.ceil(least / 1e6)}MB"
    )


class _Heard:
    """Adds up what one rank has moved."""

    def __init__(self, progress: Progress, samples: Samples, rows: int) -> None:
        self._progress = progress
        self._total = rows * sum(column.row_bytes for column in samples.columns.values())
        self._done = 0

    def more(self, moved: int) -> None:
        self._done += moved
        self._progress(self._done, self._total)
