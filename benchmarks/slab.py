"""Reading a slab and writing from many ranks, against plain read(2) and pwrite(2) of the same bytes.

    python benchmarks/slab.py [--folder .] [--mebibytes 1024] [--turns 5] [--ranks 2]

Reading is from the page cache, so that the disk hides nothing; writing ends with fsync on both sides.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from fair import clean_start, machine, take_turns

if __name__ == "__main__":
    clean_start(cores=2)

import h5py
import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.publish import write_at
from hpcjobs.data.schema import Contents, Rows, Variable
from hpcjobs.data.slab import read_slab
from hpcjobs.data.source import Reader, Source, locate
from hpcjobs.data.writing import write_file
from hpcjobs.parallel.communicator import Communicator, SerialCommunicator
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
        sys.stdout.flush()
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
        report(
            f"reading {name} into an array at hand",
            points.nbytes,
            {"read(2)": partial(read_plainly, source, out), "Reader": partial(read_by_reader, source, out)},
            turns,
        )
        assert (out == points).all()
        report(
            f"reading {name} into a new array (ours also digests what has no digest)",
            points.nbytes,
            {
                "read(2)": partial(read_into_new, source, points),
                "read_slab": partial(read_slab, source, SerialCommunicator()),
            },
            turns,
        )


def report(title: str, count: int, sides: Mapping[str, Callable[[], object]], turns: int, rank: int = 0) -> None:
    """Time the sides, the plain one first, and print what each reaches of it."""
    seconds = take_turns(sides, turns)
    if rank > 0:
        return
    plain = next(iter(seconds))
    print(f"\n{title}")
    for side, found in seconds.items():
        print(f"  {side:20} {found:6.3f} s  {count / found / 1e9:5.2f} GB/s  {seconds[plain] / found:5.2f} of {plain}")


def read_plainly(source: Source, out: Points) -> None:
    view = out.reshape(-1).view(np.uint8).data
    descriptor = os.open(source.file, os.O_RDONLY)
    assert source.offset is not None
    done = 0
    while done < len(view):
        done += os.preadv(descriptor, [view[done : done + LARGEST]], source.offset + done)
    os.close(descriptor)


def read_into_new(source: Source, like: Points) -> None:
    read_plainly(source, np.empty_like(like))


def read_by_reader(source: Source, out: Points) -> None:
    with Reader(source) as reader:
        reader.read(0, out)


def table_of(points: Points, communicator: Communicator) -> Contents:
    """This rank's rows, and their numbers, as the contents of a file."""
    total = len(points) * communicator.size
    start = len(points) * communicator.rank
    ids = np.arange(start, start + len(points))

    def rows(array: NDArray[Any]) -> Rows:
        def blocks() -> Iterator[NDArray[Any]]:
            for first in range(0, len(array), ROWS_AT_A_TIME):
                yield array[first : first + ROWS_AT_A_TIME]

        return Rows(total, start, array.dtype, array.shape[1:], blocks)

    variables = {
        "/data/x": Variable(("id", "feature"), rows(points), "features"),
        "/data/id": Variable(("id",), rows(ids), "number of the row"),
    }
    return Contents("input", "benchmark", variables)


def compare_writing(folder: Path, rows: int, turns: int, communicator: Communicator) -> None:
    """Every rank writes its rows; with and without our file around them."""
    rank, size = communicator.rank, communicator.size
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[rank % len(cores)]})
    points = np.random.default_rng(rank).random((rows // size, FEATURES), dtype=np.float32)
    ids = np.arange(len(points))

    def afresh() -> None:
        """Every turn of either side begins without a file."""
        communicator.barrier()
        if rank == 0:
            (folder / "written").unlink(missing_ok=True)
        communicator.barrier()

    def plainly() -> None:
        afresh()
        descriptor = os.open(folder / "written", os.O_RDWR | os.O_CREAT, 0o600)
        for array, first in ((points, 0), (ids, size * points.nbytes)):
            write_at(descriptor, first + rank * array.nbytes, array.reshape(-1).view(np.uint8).data)
        os.fsync(descriptor)
        os.close(descriptor)
        communicator.barrier()

    def by_us() -> None:
        afresh()
        write_file(folder / "written", table_of(points, communicator), communicator)

    sides = {"pwrite(2) and fsync": plainly, "write_file": by_us}
    report(f"writing from {size} ranks", (points.nbytes + ids.nbytes) * size, sides, turns, rank)


if __name__ == "__main__":
    main()
