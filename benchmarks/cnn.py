"""One step of training the reference network, against PyTorch and Keras: images a second, and of the limit of sgemm.

    python -m benchmarks cnn [--turns 5] [--steps 5]

150 x 150 x 3 images, batches of 32, Adam, float32, data at hand. One turn starts every side once, as a process of its
own, which takes its median step after two to warm up. A peer that is not installed is named and left out (pip install
torch tensorflow). On a machine with other work look at images a core-second, which counts only time on a core.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from fair import clean_start, machine

ROWS = 32
# Multiplications and additions of one image, forward and backward, without the gradient of the image itself.
FLOP = 1.379e9
# Name: side, processes, threads, pieces of the batch.
SIDES = {
    "hpcjobs, 1 rank": ("ours", 1, 1, 8),
    "hpcjobs, 1 rank, one shard": ("ours", 1, 1, 1),
    "PyTorch, 1 process": ("torch", 1, 1, 1),
    "Keras, 1 thread": ("keras", 1, 1, 1),
    "hpcjobs, 2 ranks": ("ours", 2, 1, 8),
    "PyTorch, DDP of 2 processes": ("torch", 2, 1, 1),
    "Keras, 2 threads": ("keras", 1, 2, 1),
}
NEEDS = {"ours": "mpi4py", "torch": "torch", "keras": "tensorflow"}


def main() -> None:
    parser = argparse.ArgumentParser(description="a step of training: hpcjobs, PyTorch and Keras")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5)
    options = parser.parse_args()
    sides = {name: side for name, side in SIDES.items() if importlib.util.find_spec(NEEDS[side[0]])}
    for name in SIDES.keys() - sides.keys():
        print(f"skipped: {name} ({NEEDS[SIDES[name][0]]} is not installed)")
    found: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for _ in range(options.turns):
        for name, side in sides.items():
            found[name].append(measured(*side, options.steps))
    limit = statistics.median(turn["sgemm"] for name in sides for turn in found[name] if "sgemm" in turn)
    told = ", ".join(
        f"{name} {version(name)}" for name in ("numpy", "scipy", *sorted({NEEDS[s[0]] for s in sides.values()}))
    )
    print(f"{machine()}; {told}; medians of {options.turns} turns; sgemm {limit / 1e9:.0f} GF/s a core")
    for name, turns in found.items():
        _, processes, threads, _ = sides[name]
        wall, busy = (ROWS / statistics.median(turn[key] for turn in turns) for key in ("wall", "busy"))
        parts = " ".join(f"{part} {seconds:.1%}" for part, seconds in shares(turns).items())
        print(
            f"  {name:28} {wall:6.1f} images/s {busy:6.1f} a core-second, "
            f"{wall * FLOP / limit / processes / threads:4.0%} and {busy * FLOP / limit:4.0%} of sgemm  {parts}"
        )


def shares(turns: list[dict[str, float]]) -> dict[str, float]:
    """The share of a step that the exchange between ranks takes from it, waiting included, where a side tells it."""
    told = [turn["exchange"] / turn["wall"] for turn in turns if "exchange" in turn]
    return {"exchange, not hidden": statistics.median(told)} if told else {}


def measured(side: str, processes: int, threads: int, pieces: int, steps: int) -> dict[str, float]:
    """What one process, or the first of several, tells of its steps."""
    cores = sorted(os.sched_getaffinity(0))[: processes * threads]
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, str(Path(__file__).with_name("_cnn_sides.py")), side, str(processes), str(threads),
            str(pieces), str(steps), folder,
        ]  # fmt: skip
        if processes > 1:
            command = [str(Path(sys.executable).with_name("mpiexec")), "-n", str(processes), *command]
        names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
        done = subprocess.run(
            command, env=os.environ | dict.fromkeys(names, str(threads)), check=False, capture_output=True, text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )  # fmt: skip
    if done.returncode:
        sys.exit(f"{side} on {processes} processes failed:\n{done.stderr[-2000:]}")
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


if __name__ == "__main__":
    clean_start(cores=2)
    main()
