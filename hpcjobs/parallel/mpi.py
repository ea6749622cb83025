"""The communicator over MPI. The only module that imports mpi4py."""

import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from hpcjobs.parallel.communicator import Message, Request, require_contiguous, require_integers

if "PMIX_RANK" in os.environ and MPI.Get_library_version().startswith("Open MPI v5"):
    # A message that arrives while another rank is still in MPI_Init can end that rank (open-mpi/ompi#12495).
    time.sleep(0.1)

# MPI 3 counts are 32-bit integers: larger buffers travel in pieces of at most this many elements.
PIECE = 2**30


class MPIRequest:
    """`Request` over those of MPI."""

    def __init__(self, requests: list[MPI.Request]) -> None:
        self._requests = requests

    def done(self) -> bool:
        return MPI.Request.Testall(self._requests)

    def wait(self) -> None:
        MPI.Request.Waitall(self._requests)


class MPICommunicator:
    """`Communicator` over `MPI.COMM_WORLD` or any other MPI communicator."""

    def __init__(self, comm: MPI.Intracomm | None = None, piece: int = PIECE) -> None:
        self._comm = MPI.COMM_WORLD if comm is None else comm
        self._piece = piece
        self.rank: int = self._comm.Get_rank()
        self.size: int = self._comm.Get_size()
        self.library = MPI.Get_library_version().strip("\0").splitlines()[0].strip()

    def barrier(self) -> None:
        self._comm.Barrier()

    def bcast(self, array: NDArray[Any], root: int = 0) -> None:
        for part in self._pieces(array):
            self._comm.Bcast(part, root=root)

    def allreduce_sum(self, array: NDArray[np.int64]) -> None:
        require_integers(array)
        for part in self._pieces(array):
            self._comm.Allreduce(MPI.IN_PLACE, part, op=MPI.SUM)

    def allreduce_max(self, array: NDArray[Any]) -> None:
        for part in self._pieces(array):
            self._comm.Allreduce(MPI.IN_PLACE, part, op=MPI.MAX)

    def allgather(self, array: NDArray[Any]) -> NDArray[Any]:
        flat = np.ascontiguousarray(array).reshape(-1)
        gathered = np.empty((self.size, flat.size), dtype=flat.dtype)
        step = max(1, self._piece // self.size)
        for lo in range(0, flat.size, step):
            part = flat[lo : lo + step]
            received = np.empty((self.size, part.size), dtype=flat.dtype)
            self._comm.Allgather(part, received)
            gathered[:, lo : lo + step] = received
        return gathered.reshape(self.size, *array.shape)

    def start_exchange(self, outgoing: Sequence[Message], incoming: Sequence[Message], tag: int) -> Request:
        receives = [self._comm.Irecv(part, other, tag) for other, array in incoming for part in self._pieces(array)]
        sends = [self._comm.Isend(part, other, tag) for other, array in outgoing for part in self._pieces(array)]
        return MPIRequest([*receives, *sends])

    def bcast_object(self, value: Any, root: int = 0) -> Any:
        return self._comm.bcast(value, root=root)

    def allgather_object(self, value: Any) -> list[Any]:
        return self._comm.allgather(value)

    def node_rank(self) -> int:
        node = self._comm.Split_type(MPI.COMM_TYPE_SHARED)
        rank: int = node.Get_rank()
        node.Free()
        return rank

    def finalize(self) -> None:
        MPI.Finalize()

    def abort(self, code: int) -> None:
        self._comm.Abort(code)

    def _pieces(self, array: NDArray[Any]) -> Iterator[NDArray[Any]]:
        require_contiguous(array)
        flat = array.reshape(-1)
        for lo in range(0, flat.size, self._piece):
            yield flat[lo : lo + self._piece]
