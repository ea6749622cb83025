"""What every benchmark here shares: a clean environment for both sides, chosen cores, turns in one run."""

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping

# Settings that make a BLAS choose another kernel, block size or thread count than it would by itself.
MEDDLING = ("OPENBLAS_", "GOTO_", "MKL_", "BLIS_", "NVPL_BLAS_", "OMP_", "KMP_", "NPY_DISABLE_CPU", "NUMBA_")
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def clean_start(cores: int) -> None:
    """Run this script again, if need be, without settings that bend a BLAS, on the first `cores` cores
    allowed.

    Call before NumPy is imported.
    """
    assert "numpy" not in sys.modules, "NumPy has read the environment already"
    wanted = {key: value for key, value in os.environ.items() if not key.startswith(MEDDLING)}
    wanted |= dict.fromkeys(THREADS, str(cores))
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    if wanted != dict(os.environ):
        os.execve(sys.executable, [sys.executable, *sys.argv], wanted)  # noqa: S606


def take_turns(sides: Mapping[str, Callable[[], object]], turns: int) -> dict[str, float]:
    """Median seconds of each side; one turn runs every side once, after one turn to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(turns + 1):
        for name, side in sides.items():
            begin = time.perf_counter()
            side()
            if turn:
                seconds[name].append(time.perf_counter() - begin)
    return {name: statistics.median(found) for name, found in seconds.items()}


def machine() -> str:
    """Processor and core count, for the head of a report."""
    with open("/proc/cpuinfo") as file:  # noqa: PTH123
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {len(os.sched_getaffinity(0))} core(s) used"
