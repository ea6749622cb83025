"""Stopping in good order: a signal to any rank becomes an end that all ranks agree on."""

import os
import signal
import types

import numpy as np

from hpcjobs.parallel.communicator import Communicator
from hpcjobs.runs.process import launched

GRACEFUL = (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)


class Stop:
    """Set by signals; a second Ctrl-C ends the run at once."""

    def __init__(self) -> None:
        self.requested = 0
        # Decided now: MPI takes signals for itself. What our launcher ignores, ranks need not.
        self._heeded = [number for number in GRACEFUL if launched() or not hangup_is_ignored(number)]
        self.listen()

    def listen(self) -> None:
        """Take the signals. To be called again once MPI has started: UCX takes SIGHUP for its debug log."""
        for number in self._heeded:
            signal.signal(number, self._request)

    def _request(self, number: int, frame: types.FrameType | None) -> None:
        if number == signal.SIGINT and self.requested == signal.SIGINT:
            raise KeyboardInterrupt
        if not self.requested:
            self.requested = number


def hangup_is_ignored(number: int) -> bool:
    """Whether a signal is SIGHUP and we were started with nohup: then the run outlives its terminal."""
    return number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN


def agree(communicator: Communicator, *wishes: int) -> tuple[int, ...]:
    """What any rank wishes (0: nothing; the largest of several), for each wish in turn. Collective."""
    flags = np.array(wishes, dtype=np.int64)
    communicator.allreduce_max(flags)
    return tuple(int(flag) for flag in flags)


def cause(number: int) -> str:
    """What a signal means to a run: in a Slurm job USR1 is that of our scripts, TERM is Slurm's own."""
    meant = {signal.SIGUSR1: "time_limit", signal.SIGTERM: "terminated"} if "SLURM_JOB_ID" in os.environ else {}
    return meant.get(signal.Signals(number), "interrupted")
