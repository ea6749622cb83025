"""Images and labels in batches, the same on any number of ranks, to be begun at any step.

Batches are counted over all epochs: number epoch * steps_per_epoch + step. Number n is batch n % steps of pass
n // steps over the data, so that `steps_per_epoch` only says how many batches the job calls an epoch: fewer or more
than a pass has, each row still comes once a pass.
"""

import itertools
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.order import Integers, Order
from hpcjobs.data.slab import name_row
from hpcjobs.data.source import Reader, Source
from hpcjobs.errors import DataError
from hpcjobs.parallel.communicator import Communicator, on_all
from hpcjobs.parallel.memory import free_memory

Array = NDArray[Any]
Singles = NDArray[np.float32]
# Images (n, height, width, channels) as in the file, labels (n,), rows (n,), pass: images and labels to train on.
Prepare = Callable[[Array, Array, Integers, int], tuple[Singles, Array]]
Key = tuple[int, int]  # pass, pool
LARGEST = np.finfo(np.float32).max


@dataclass(frozen=True)
class Pool:
    """Rows that are in memory: `numbers` (n,) in the order in which they come, each at `places` (n,) of `rows`."""

    numbers: Integers
    places: Integers
    rows: Array


def as_they_are(images: Array, labels: Array, numbers: Integers, number: int) -> tuple[Singles, Array]:
    """Images as float32, unchanged."""
    return images.astype(np.float32), labels


class Loader:
    """The batches of a data set, shard by shard.

    Rows that are not `held` in memory are read pool by pool, the next pool of each shard by a thread while this one is
    worked on: two pools in memory for each shard that is asked for.
    """

    def __init__(
        self,
        source: Source,
        labels: Array,
        order: Order,
        *,
        prepare: Prepare = as_they_are,
        steps_per_epoch: int | None = None,
        held: Array | None = None,
    ) -> None:
        """`source` are images (rows, height, width, channels); labels (rows,)."""
        assert len(labels) == source.rows == order.rows
        self.order = order
        self.steps_per_epoch = order.steps if steps_per_epoch is None else steps_per_epoch
        self._source = source
        self._labels = labels
        self._prepare = prepare
        self._held = held
        self._reader = None if held is not None else Reader(source)
        self._thread = ThreadPoolExecutor(1)
        self._here: dict[int, tuple[Key, Pool]] = {}
        self._ahead: dict[int, tuple[Key, Future[Pool]]] = {}

    def shard(self, epoch: int, step: int, shard: int) -> tuple[Singles, Array, Integers]:
        """Images x (n, height, width, channels), labels y (n, ...) and row numbers (n,) of one shard of one batch."""
        order = self.order
        number, at = divmod(epoch * self.steps_per_epoch + step, order.steps)
        which, offset = divmod(at * order.shard_rows, order.pool_rows)
        found = self._pool(shard, (number, which))
        some = slice(offset, offset + order.shard_rows)
        numbers = found.numbers[some]
        x, y = self._prepare(found.rows[found.places[some]], self._labels[numbers], numbers, number)
        return x, y, numbers

    def close(self) -> None:
        """Give file and thread back."""
        self._thread.shutdown(cancel_futures=True)
        if self._reader is not None:
            self._reader.close()

    def __enter__(self) -> "Loader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _pool(self, shard: int, key: Key) -> Pool:
        """A pool, now in memory; the one after it is asked for."""
        if shard in self._here and self._here[shard][0] == key:
            return self._here[shard][1]
        if self._held is not None:
            numbers = self.order.pool_of(key[0], shard, key[1])
            found = Pool(numbers, numbers, self._held)
        else:
            found = self._read(shard, key)
        self._here[shard] = key, found
        return found

    def _read(self, shard: int, key: Key) -> Pool:
        """A pool from the file."""
        if shard not in self._ahead or self._ahead[shard][0] != key:
            self._ask(shard, key)
        found = self._ahead[shard][1].result()
        number, pool = key
        self._ask(shard, (number, pool + 1) if pool + 1 < self.order.pools else (number + 1, 0))
        check_finite(self._source, found.rows, np.sort(found.numbers))
        return found

    def _ask(self, shard: int, key: Key) -> None:
        """Have a pool read by the thread, rows side by side in the file at once."""
        if shard in self._ahead:
            self._ahead[shard][1].cancel()
        numbers = self.order.pool_of(key[0], shard, key[1])
        sort = np.argsort(numbers)
        places = np.empty_like(sort)
        places[sort] = np.arange(len(sort))
        ordered = numbers[sort]
        cuts = [0, *(np.flatnonzero(np.diff(ordered) != 1) + 1).tolist(), len(ordered)]
        assert self._reader is not None
        reader, source = self._reader, self._source

        def read() -> Pool:
            rows = np.empty((len(ordered), *source.shape[1:]), dtype=source.dtype)
            for first, last in itertools.pairwise(cuts):
                if first < last:
                    reader.read(int(ordered[first]), rows[first:last])
            return Pool(numbers, places, rows)

        self._ahead[shard] = key, self._thread.submit(read)


def hold(source: Source, communicator: Communicator, memory: int | None = None) -> Array | None:
    """All rows on every rank, where they fit within `memory` bytes a rank (None: half of what is free). Collective."""
    most = free_memory(communicator) // 2 if memory is None else memory
    if source.rows * source.row_bytes > most:
        return None

    def read() -> Array:
        rows = np.empty(source.shape, dtype=source.dtype)
        with Reader(source) as reader:
            reader.read(0, rows)
        check_finite(source, rows, np.arange(source.rows))
        return rows

    return on_all(communicator, read)


def check_finite(source: Source, rows: Array, numbers: Integers) -> None:
    """Refuse images (n, ...) with NaN, or values that float32 cannot hold; `numbers` (n,) are their rows."""
    if rows.dtype.kind != "f":
        return
    finite = (np.abs(rows) <= LARGEST).all(axis=tuple(range(1, rows.ndim)))
    if not finite.all():
        wrong = int(numbers[np.argmin(finite)])
        raise DataError(
            f"{source}: the image of {name_row(source, wrong)} holds NaN or infinite values; mend or remove it"
        )
