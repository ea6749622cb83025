"""Reading a slab and writing from many ranks, against plain read(2) and pwrite(2) of the same bytes.

    python benchmarks/slab.py [--folder .] [--mebibytes 1024] [--turns 5] [--ranks 2]

Reading is from the page cache, so that the disk hides nothing; writing ends with fsync on both sides.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from fair import clean_start, machine, take_turns

if __name__ == "__main__":
    clean_start(cores=2)

import h5py
import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.schema import Contents, Rows, Variable
from hpcjobs.data.slab import read_slab
from hpcjobs.data.source import Reader, Source, locate
from hpcjobs.data.writing import write_file
from hpcjobs.parallel.communicator import Communicator, SerialCommunicator
from hpcjobs.parallel.shards import piece
from hpcjobs.parallel.starter import world

FEATURES = 32
ROWS_AT_A_TIME = 2**18
LARGEST = 2**30
Points = NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description="slabs: hpcjobs and the bare system calls")
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--mebibytes", type=int, default=1024)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rank-of", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    rows = options.mebibytes * 2**20 // (4 * FEATURES)
    if options.rank_of:
        compare_writing(options.rank_of, rows, options.turns, world())
        return
    print(f"{machine()}; h5py {h5py.__version__}, {options.mebibytes} MiB, medians of {options.turns}")
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="slab-") as name:
        folder = Path(name)
        compare_reading(folder, rows, options.turns)
        launcher = Path(sys.executable).with_name("mpiexec")
        again = [sys.executable, "-m", "mpi4py", __file__, "--rank-of", str(folder)]
        sizes = ["--mebibytes", str(options.mebibytes), "--turns", str(options.turns)]
        subprocess.run([launcher, "-n", str(options.ranks), *again, *sizes], check=True)


def compare_reading(folder: Path, rows: int, turns: int) -> None:
    """One rank reads the whole table: of a foreign contiguous file, and of one of ours, verified."""
    points = np.random.default_rng(0).random((rows, FEATURES), dtype=np.float32)
    with h5py.File(folder / "foreign.h5", "w") as file:
        file["x"] = points
    write_file(folder / "ours.h5", table_of(points, SerialCommunicator()))
    for name in ("foreign.h5", "ours.h5"):
        source = locate(str(folder / name), dimensions=2)
        out = np.zeros_like(points)
        seconds = take_turns(
            {
                "read(2), array at hand": lambda source=source, out=out: read_plainly(source, out),
                "Reader, array at hand": lambda source=source, out=out: read_by_reader(source, out),
                "read(2), new array": lambda source=source: read_plainly(source, np.empty_like(points)),
                "read_slab, new array, digest known": lambda source=source: read_slab(source, SerialCommunicator()),
            },
            turns,
        )
        assert (out == points).all()
        base = iter(("read(2), array at hand", "read(2), array at hand", "read(2), new array", "read(2), new array"))
        print(f"\nreading {name}")
        for (side, found), plain in zip(seconds.items(), base, strict=True):
            rate = points.nbytes / found / 1e9
            print(f"  {side:36} {found:6.3f} s  {rate:5.2f} GB/s  {seconds[plain] / found:5.2f} of read(2)")


def read_plainly(source: Source, out: Points) -> None:
    view = memoryview(out.reshape(-1).view(np.uint8))
    descriptor = os.open(source.file, os.O_RDONLY)
    assert source.offset is not None
    done = 0
    while done < len(view):
        done += os.preadv(descriptor, [view[done : done + LARGEST]], source.offset + done)
    os.close(descriptor)


def read_by_reader(source: Source, out: Points) -> None:
    with Reader(source) as reader:
        reader.read(0, out)


def table_of(points: Points, communicator: Communicator) -> Contents:
    """This rank's rows as the contents of a file."""
    span = piece(len(points) * communicator.size, communicator.size, communicator.rank)
    rows = Rows(
        len(points) * communicator.size,
        span.start,
        points.dtype,
        (FEATURES,),
        lambda: (points[first : first + ROWS_AT_A_TIME] for first in range(0, len(points), ROWS_AT_A_TIME)),
    )
    return Contents("input", "benchmark", {"/data/x": Variable(("id", "feature"), rows, "features")})


def compare_writing(folder: Path, rows: int, turns: int, communicator: Communicator) -> None:
    """Every rank writes its rows; with and without our file around them."""
    rank, size = communicator.rank, communicator.size
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[rank % len(os.sched_getaffinity(0))]})
    points = np.random.default_rng(rank).random((rows // size, FEATURES), dtype=np.float32)

    def plainly() -> None:
        path = folder / "plain"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        view = memoryview(points.reshape(-1).view(np.uint8))
        done = 0
        while done < len(view):
            done += os.pwrite(descriptor, view[done : done + LARGEST], rank * len(view) + done)
        os.fsync(descriptor)
        os.close(descriptor)
        communicator.barrier()

    def remove(name: str) -> None:
        communicator.barrier()
        if rank == 0:
            (folder / name).unlink(missing_ok=True)
        communicator.barrier()

    def fresh(name: str, write: object) -> object:
        return lambda: (remove(name), write())  # type: ignore[operator]

    seconds = take_turns(
        {
            "pwrite(2) + fsync": fresh("plain", plainly),
            "write_file": fresh("written.h5", lambda: write_file(folder / "written.h5", table_of(points, communicator), communicator)),
        },  # type: ignore[arg-type]
        turns,
    )
    if rank == 0:
        print(f"\nwriting from {size} ranks")
        for side, found in seconds.items():
            rate = points.nbytes * size / found / 1e9
            plain = seconds["pwrite(2) + fsync"]
            print(f"  {side:36} {found:6.3f} s  {rate:5.2f} GB/s  {plain / found:5.2f} of pwrite(2) + fsync")


if __name__ == "__main__":
    main()
