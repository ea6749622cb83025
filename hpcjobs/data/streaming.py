"""Rows that stay in their file: read block by block, the next block while the last one is worked on."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.source import Reader, Source

Array = NDArray[Any]


class Conversion(Protocol):
    """What turns rows into others, each by itself, and says which type they will have."""

    def __call__(self, rows: Array) -> Array: ...

    def dtype(self, given: np.dtype[Any]) -> np.dtype[Any]: ...


class Streamed:
    """Rows (rows, ...) of a source, indexed by runs like an array: the last block is kept, the next one read ahead.

    `kept` (rows,) names the rows of the source that are meant; `convert` turns rows as they lie in the file into rows
    of `dtype`, each by itself, so that blocks may be cut anywhere.
    """

    def __init__(
        self, source: Source, kept: range | NDArray[np.int64], block: int, convert: Callable[[Array], Array], dtype: Any
    ) -> None:
        """`block` is how many rows are read at a time; three blocks are in memory at most."""
        self.shape = (len(kept), *source.shape[1:])
        self.dtype = np.dtype(dtype)
        self._kept = kept
        self.block = block
        self._convert = convert
        self._reader = Reader(source)
        self._pool = ThreadPoolExecutor(1)
        self._held = -1  # number of the block in memory
        self._rows: Array = np.empty((0, *source.shape[1:]), dtype=self.dtype)
        self._ahead: tuple[int, Future[Array]] | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, run: slice) -> Array:
        """The rows of a run, as an array."""
        start, stop, _ = run.indices(len(self))
        first, last = start // self.block, max(start, stop - 1) // self.block
        if first == last:
            rows = self._hold(first) if start < stop else self._rows[:0]
            offset = first * self.block
            return rows[start - offset : stop - offset] if start < stop else rows
        pieces = [
            self[max(start, number * self.block) : min(stop, (number + 1) * self.block)]
            for number in range(first, last + 1)
        ]
        return np.concatenate(pieces)

    def take(self, indices: NDArray[np.int64]) -> Array:
        """Some rows, in that order, each read by itself."""
        rows = np.empty((len(indices), *self.shape[1:]), dtype=self.dtype)
        for row, index in zip(rows, indices.tolist(), strict=True):
            row[...] = self._pool.submit(self._read, index, index + 1).result()[0]  # one thread has the file
        return rows

    def only(self, kept: NDArray[np.int64]) -> "Streamed":
        """Some of these rows, named in ascending order; takes the place of this one."""
        self.close()
        kept = kept + self._kept.start if isinstance(self._kept, range) else self._kept[kept]
        return Streamed(self._reader.source, kept, self.block, self._convert, self.dtype)

    def then(self, convert: "Conversion") -> "Streamed":
        """The same rows, converted once more; takes the place of this one."""
        self.close()
        first, dtype = self._convert, convert.dtype(self.dtype)
        return Streamed(self._reader.source, self._kept, self.block, lambda rows: convert(first(rows)), dtype)

    def close(self) -> None:
        """Give file and thread back."""
        self._pool.shutdown(cancel_futures=True)
        self._reader.close()

    def __enter__(self) -> "Streamed":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _hold(self, number: int) -> Array:
        """A block, now in memory; the one after it, or the first after the last, is asked for."""
        if number != self._held:
            if self._ahead is None or self._ahead[0] != number:
                self._ask(number)
            assert self._ahead is not None
            self._rows, self._held = self._ahead[1].result(), number
            blocks = -(-len(self) // self.block)
            if blocks > 1:
                self._ask((number + 1) % blocks)
        return self._rows

    def _ask(self, number: int) -> None:
        if self._ahead is not None:
            self._ahead[1].cancel()
        start = number * self.block
        self._ahead = (number, self._pool.submit(self._read, start, min(start + self.block, len(self))))

    def _read(self, start: int, stop: int) -> Array:
        """Rows `start` to `stop`, as they are meant."""
        kept = self._kept[start:stop]
        first, last = int(kept[0]), int(kept[-1]) + 1
        if isinstance(kept, range) or last - first == len(kept):
            return self._convert(self._raw(first, last))
        rows, done = np.empty((len(kept), *self.shape[1:]), dtype=self.dtype), 0
        for place in range(first, last, self.block):  # few of many rows may be kept: never more than a block at a time
            stop = min(place + self.block, last)
            wanted = kept[done : np.searchsorted(kept, stop)]
            if len(wanted):
                rows[done : done + len(wanted)] = self._convert(self._raw(place, stop)[wanted - place])
                done += len(wanted)
        return rows

    def _raw(self, first: int, last: int) -> Array:
        """Rows of the source as they lie in the file."""
        source = self._reader.source
        rows = np.empty((last - first, *source.shape[1:]), dtype=source.dtype)
        self._reader.read(first, rows)
        return rows


def take(points: "Array | Streamed", indices: NDArray[np.int64]) -> Array:
    """Some rows of an array, or of one that stays in its file."""
    return points.take(indices) if isinstance(points, Streamed) else points[indices]
