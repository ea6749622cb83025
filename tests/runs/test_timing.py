"""Seconds by phase: what happens inside another phase is not counted twice."""

import time

import numpy as np
import pytest

from hpcjobs.parallel.communicator import SerialCommunicator
from hpcjobs.runs.timing import Timing


def test_a_phase_inside_another_is_taken_off_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    timing = Timing()
    for _ in range(2):
        with timing.phase("train"):
            now += 3
            for _ in range(2):
                with timing.phase("validate"):
                    now += 1
                    with timing.phase("exchange"):
                        now += 0.5
        with timing.phase("finish"):
            now += 7
    found = timing.variables(SerialCommunicator())
    names = [name.decode() for name in found["/timing/phase"].values.tolist()]
    (seconds,) = found["/timing/seconds"].values
    assert dict(zip(names, seconds, strict=True)) == {"train": 6, "validate": 4, "exchange": 2, "finish": 14}
    assert np.sum(seconds) == now
    assert timing.share("exchange", "train") == 0.25
    assert timing.share("nothing", "finish") == 0
