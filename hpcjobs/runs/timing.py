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
        self._inner = 0.0  # of phases inside the one that goes on

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time of a block to a phase, less that of phases inside it; every rank enters the same phases."""
        before, self._inner = self._inner, 0.0
        began = time.perf_counter()
        yield
        whole = time.perf_counter() - began
        self._seconds[name] = self._seconds.get(name, 0.0) + whole - self._inner
        self._inner = before + whole

    def share(self, part: str, rest: str) -> float:
        """What part of the time of two phases the first has taken on this rank; 0 if neither came."""
        seconds, others = (self._seconds.get(name, 0.0) for name in (part, rest))
        return seconds / (seconds + others) if seconds else 0.0

    def variables(self, communicator: Communicator) -> dict[str, Variable]:
        """The `/timing` data sets. Collective."""
        seconds = communicator.allgather(np.array(list(self._seconds.values())))
        return {
            "/timing/phase": Variable(("phase",), texts(self._seconds), "phase of the run"),
            "/timing/seconds": Variable(("rank", "phase"), seconds, "time of each rank in each phase", "s"),
        }
