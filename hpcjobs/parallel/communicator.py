"""What a job may ask of the other ranks, and the answer when there are none."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from hpcjobs.errors import UserError

T = TypeVar("T")
Message = tuple[int, NDArray[Any]]  # another rank, and the array for it or that its array overwrites


class Request(Protocol):
    """Messages on their way: until they are done, nobody may change what is sent or look at what is received."""

    def done(self) -> bool:
        """Whether all are; also lets MPI get on with them."""

    def wait(self) -> None: ...


class Communicator(Protocol):
    """MPI's own verbs on contiguous NumPy buffers; the verbs that pickle say `object`."""

    rank: int
    size: int
    library: str  # name and version of the MPI library

    def barrier(self) -> None: ...

    def bcast(self, array: NDArray[Any], root: int = 0) -> None:
        """Overwrite `array` on every rank with that of `root`."""

    def allreduce_sum(self, array: NDArray[np.int64]) -> None:
        """Add integer arrays over ranks, in place. Floats are refused: their sum would depend on the ranks."""

    def allreduce_max(self, array: NDArray[Any]) -> None:
        """Element-wise maximum over ranks, in place (exact in any order)."""

    def allgather(self, array: NDArray[Any]) -> NDArray[Any]:
        """Stack one equally shaped array of each rank: result (size, *array.shape)."""

    def start_exchange(self, outgoing: Sequence[Message], incoming: Sequence[Message], tag: int) -> Request:
        """Begin to send arrays to other ranks and to overwrite others by what these send, of equal shape.

        Those between two ranks that have one tag arrive in the order in which both name them.
        """

    def bcast_object(self, value: Any, root: int = 0) -> Any: ...

    def allgather_object(self, value: Any) -> list[Any]: ...

    def node_rank(self) -> int:
        """Position of this rank among the ranks of its own node."""

    def finalize(self) -> None:
        """End MPI in good order; no verb may be called afterwards."""

    def abort(self, code: int) -> None:
        """End every rank now."""


class Arrived:
    """The request of messages that nobody has to wait for."""

    def done(self) -> bool:
        return True

    def wait(self) -> None:
        pass


class SerialCommunicator:
    """The communicator of a process that nothing started under MPI."""

    rank = 0
    size = 1
    library = "none: one process"

    def barrier(self) -> None:
        pass

    def bcast(self, array: NDArray[Any], root: int = 0) -> None:
        require_contiguous(array)

    def allreduce_sum(self, array: NDArray[np.int64]) -> None:
        require_integers(array)
        require_contiguous(array)

    def allreduce_max(self, array: NDArray[Any]) -> None:
        require_contiguous(array)

    def allgather(self, array: NDArray[Any]) -> NDArray[Any]:
        return array[np.newaxis].copy()

    def start_exchange(self, outgoing: Sequence[Message], incoming: Sequence[Message], tag: int) -> Request:
        for other, _ in (*outgoing, *incoming):
            raise ValueError(f"there is no rank {other} to exchange messages with")
        return Arrived()

    def bcast_object(self, value: Any, root: int = 0) -> Any:
        return value

    def allgather_object(self, value: Any) -> list[Any]:
        return [value]

    def node_rank(self) -> int:
        return 0

    def finalize(self) -> None:
        pass

    def abort(self, code: int) -> None:
        raise SystemExit(code)


def require_integers(array: NDArray[Any]) -> None:
    """Refuse a float sum over ranks: its bits would depend on how many there are."""
    if array.dtype.kind not in "iu":
        raise TypeError(f"sums over ranks are taken of integers only, not of {array.dtype}")


def require_contiguous(array: NDArray[Any]) -> None:
    """Refuse an array that MPI could only take as a copy: what it receives would be lost."""
    if not array.flags.c_contiguous:
        raise ValueError(f"MPI buffers must be contiguous, not of strides {array.strides}")


def on_root(communicator: Communicator, action: Callable[[], T]) -> T:
    """Run `action` on rank 0 and hand its value, or the user's mistake it found, to every rank."""
    value: Any = None
    mistake: Exception | None = None
    if communicator.rank == 0:
        try:
            value = action()
        except (UserError, OSError) as error:
            mistake = error
    value, mistake = communicator.bcast_object((value, mistake))
    if mistake is not None:
        raise mistake
    return value  # type: ignore[no-any-return]


def on_all(communicator: Communicator, action: Callable[[], T]) -> T:
    """Run `action` on every rank; when it fails on any, all raise the mistake of the lowest rank that failed."""
    value: Any = None
    mistake: Exception | None = None
    try:
        value = action()
    except (UserError, OSError) as error:
        mistake = error
    for found in communicator.allgather_object(mistake):
        if found is not None:
            raise found
    return value  # type: ignore[no-any-return]


def leader_first(communicator: Communicator, action: Callable[[], None]) -> None:
    """Run `action` on the first rank of each node, then on the others, which find what the first left behind."""
    leads = communicator.node_rank() == 0
    if leads:
        on_all(communicator, action)
        on_all(communicator, lambda: None)
    else:
        on_all(communicator, lambda: None)
        on_all(communicator, action)
