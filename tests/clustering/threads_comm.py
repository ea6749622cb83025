"""Ranks as threads of one process: all verbs of the communicator, many ranks in a moment."""

import pickle
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hpcjobs.parallel.communicator import Communicator, require_integers

T = TypeVar("T")
TIMEOUT = 300.0  # rank 0 may have kernels to compile, while other tests do as well


class ThreadCommunicator:
    """One rank of a world of threads; the verbs wait for one another like MPI's."""

    library = "threads of one process"

    def __init__(
        self, rank: int, size: int, barrier: threading.Barrier, slots: list[Any], posts: dict[tuple[int, int], Any]
    ) -> None:
        self.rank = rank
        self.size = size
        self._barrier = barrier
        self._slots = slots
        self._posts = posts  # what is on its way, by sender and receiver

    def _exchange(self, value: Any) -> list[Any]:
        """The value of every rank, on every rank."""
        self._slots[self.rank] = value
        self._barrier.wait(TIMEOUT)
        found = list(self._slots)
        self._barrier.wait(TIMEOUT)
        return found

    def barrier(self) -> None:
        self._exchange(None)

    def bcast(self, array: NDArray[Any], root: int = 0) -> None:
        array[...] = self._exchange(array.copy())[root]

    def allreduce_sum(self, array: NDArray[np.int64]) -> None:
        require_integers(array)
        array[...] = np.sum(self._exchange(array.copy()), axis=0, dtype=array.dtype)

    def allreduce_max(self, array: NDArray[Any]) -> None:
        array[...] = np.max(self._exchange(array.copy()), axis=0)

    def allgather(self, array: NDArray[Any]) -> NDArray[Any]:
        return np.stack(self._exchange(array.copy()))

    def send(self, array: NDArray[Any], to: int) -> None:
        self._posts[self.rank, to].put(array.copy())

    def recv(self, array: NDArray[Any], source: int) -> None:
        array[...] = self._posts[source, self.rank].get(timeout=TIMEOUT)

    def bcast_object(self, value: Any, root: int = 0) -> Any:
        return pickle.loads(self._exchange(pickle.dumps(value))[root])  # noqa: S301

    def allgather_object(self, value: Any) -> list[Any]:
        return [pickle.loads(found) for found in self._exchange(pickle.dumps(value))]  # noqa: S301

    def node_rank(self) -> int:
        return self.rank

    def finalize(self) -> None:
        pass

    def abort(self, code: int) -> None:
        self._barrier.abort()


def on_ranks(size: int, action: Callable[[Communicator], T]) -> list[T]:
    """Run `action` on `size` ranks at once; the value of each, or the failure that came first."""
    barrier = threading.Barrier(size)
    slots: list[Any] = [None] * size
    posts = {(a, b): queue.SimpleQueue[NDArray[Any]]() for a in range(size) for b in range(size)}
    values: list[Any] = [None] * size
    failures: list[BaseException] = []

    def run(rank: int) -> None:
        try:
            values[rank] = action(ThreadCommunicator(rank, size, barrier, slots, posts))
        except BaseException as error:
            failures.append(error)
            barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    failures.sort(key=lambda error: isinstance(error, threading.BrokenBarrierError))
    if failures:
        raise failures[0]
    return values
