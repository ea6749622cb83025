"""Ranks as threads of one process: all verbs of the communicator, many ranks in a moment."""

import pickle
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hpcjobs.parallel.communicator import Communicator, Message, Request, require_integers

T = TypeVar("T")
TIMEOUT = 300.0  # rank 0 may have kernels to compile, while other tests do as well


class Posts(dict[tuple[int, int, int], queue.SimpleQueue[NDArray[Any]]]):
    """What is on its way, by sender, receiver and tag."""

    def __missing__(self, key: tuple[int, int, int]) -> queue.SimpleQueue[NDArray[Any]]:
        return self.setdefault(key, queue.SimpleQueue())  # of two threads that come at once, one makes it


class ThreadRequest:
    """Messages that arrive one by one; nothing is there at the first look, as in MPI it may be."""

    def __init__(self, coming: list[tuple[queue.SimpleQueue[NDArray[Any]], NDArray[Any]]]) -> None:
        self._coming = coming
        self._looked = False

    def done(self) -> bool:
        if self._looked:
            while self._coming and not self._coming[0][0].empty():
                self.wait_for_one()
        self._looked = True
        return not self._coming

    def wait(self) -> None:
        while self._coming:
            self.wait_for_one()

    def wait_for_one(self) -> None:
        post, array = self._coming.pop(0)
        array[...] = post.get(timeout=TIMEOUT)


class ThreadCommunicator:
    """One rank of a world of threads; the verbs wait for one another like MPI's."""

    library = "threads of one process"

    def __init__(self, rank: int, size: int, barrier: threading.Barrier, slots: list[Any], posts: Posts) -> None:
        self.rank = rank
        self.size = size
        self._barrier = barrier
        self._slots = slots
        self._posts = posts

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

    def start_exchange(self, outgoing: Sequence[Message], incoming: Sequence[Message], tag: int) -> Request:
        for to, array in outgoing:
            assert to != self.rank, "messages go to other ranks"
            self._posts[self.rank, to, tag].put(array.copy())
        return ThreadRequest([(self._posts[source, self.rank, tag], array) for source, array in incoming])

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
    posts = Posts()
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
