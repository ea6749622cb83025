"""Where the time went: seconds of each rank in each phase of this attempt."""

import contextlib
import time
from collections.abc import Iterator

import numpy as np

from hpcjobs.data.schema import Variable, texts
from hpcjobs.parallel.communicator import Communicator


class Timing:
    """Seconds of this rank by phase. Waiting for other ranks counts to the phase in which it happens."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time of a block to a phase; every rank enters the same phases."""
        began = time.perf_counter()
        yield
        self._seconds[name] = self._seconds.get(name, 0.0) + time.perf_counter() - began

    def variables(self, communicator: Communicator) -> dict[str, Variable]:
        """The `/timing` data sets. Collective."""
        seconds = communicator.allgather(np.array(list(self._seconds.values())))
        return {
            "/timing/phase": Variable(("phase",), texts(self._seconds), "phase of the run"),
            "/timing/seconds": Variable(("rank", "phase"), seconds, "time of each rank in each phase", "s"),
        }
