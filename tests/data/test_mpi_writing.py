"""One file from many ranks: the same data, digest and ids as from one, and one message on all of them."""

import hashlib
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from hpcjobs.data.generate import generate_blobs
from hpcjobs.data.inspect import verify_file
from hpcjobs.data.schema import Contents, Variable, rows_of, texts
from hpcjobs.data.slab import read_slab
from hpcjobs.data.source import find_source
from hpcjobs.data.writing import write_file
from hpcjobs.errors import DataError
from hpcjobs.parallel.communicator import Communicator, SerialCommunicator
from hpcjobs.parallel.shards import piece

X = np.random.default_rng(6).normal(size=(1001, 1200))  # 9.6 MB: three blocks of the file digest


def shared(communicator: Communicator, folder: Path) -> Path:
    """The folder of rank 0, for all."""
    return Path(communicator.bcast_object(folder))


def contents(rank: int, size: int, rows: int = 1001) -> Contents:
    span = piece(rows, size, rank)
    own = slice(span.start, span.stop)
    names = texts([f"row {row:04}" for row in range(rows)])
    variables = {
        "/result/x": Variable(("id", "column"), rows_of(X[:rows][own], rows, span.start), "x"),
        "/result/id": Variable(("id",), rows_of(names[own], rows, span.start), "id"),
        "/result/total": Variable((), np.array(rows), "rows"),
    }
    return Contents("result", "many ranks", variables)


@pytest.mark.mpi(ranks=(1, 2, 3, 5))
def test_the_rows_of_all_ranks_make_the_file_that_one_rank_writes(communicator: Communicator, tmp_path: Path) -> None:
    path = shared(communicator, tmp_path) / "many.h5"
    digest = write_file(path, contents(communicator.rank, communicator.size), communicator)
    report = verify_file(path)
    assert report["result_digest"] == digest
    assert report["blocks"] == 3
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["result/x"][:], X)
    alone = tmp_path / f"alone-{communicator.rank}.h5"
    assert write_file(alone, contents(0, 1), SerialCommunicator()) == digest


@pytest.mark.mpi(ranks=4)
def test_more_ranks_than_rows_work(communicator: Communicator, tmp_path: Path) -> None:
    path = shared(communicator, tmp_path) / "few.h5"
    write_file(path, contents(communicator.rank, communicator.size, rows=2), communicator)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["result/x"][:], X[:2])


@pytest.mark.mpi(ranks=3)
def test_a_full_disk_on_one_rank_is_told_on_all_and_keeps_the_old_file(
    communicator: Communicator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shared(communicator, tmp_path)
    path = folder / "a.h5"
    if communicator.rank == 0:
        path.write_bytes(b"old")
    communicator.barrier()
    if communicator.rank == 2:

        def full(*_: object) -> int:
            raise OSError(28, os.strerror(28))

        monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(DataError, match=r"cannot be written: No space left on device; the file .* stays as it was"):
        write_file(path, contents(communicator.rank, communicator.size), communicator)
    communicator.barrier()
    assert path.read_bytes() == b"old"
    assert not list(folder.glob(".*.tmp"))


@pytest.mark.mpi(ranks=(2, 3))
def test_generated_data_and_slabs_are_those_of_one_rank(communicator: Communicator, tmp_path: Path) -> None:
    path = shared(communicator, tmp_path) / "blobs.h5"
    generate_blobs(path, 20_000, 3, 5, 7, communicator=communicator)
    alone = tmp_path / f"alone-{communicator.rank}.h5"
    generate_blobs(alone, 20_000, 3, 5, 7)
    with h5py.File(path) as many, h5py.File(alone) as one:
        for name in ("x", "y", "id", "centre"):
            np.testing.assert_array_equal(many["data"][name][()], one["data"][name][()])
        whole = one["data/x"][()]
    slab = read_slab(find_source(str(path), 2, communicator), communicator)
    np.testing.assert_array_equal(slab.rows, whole[slab.start : slab.start + len(slab.rows)])
    foreign = shared(communicator, tmp_path) / "foreign.h5"
    if communicator.rank == 0:
        with h5py.File(foreign, "w") as file:
            file.create_dataset("x", data=whole, compression="gzip")
    communicator.barrier()
    slab = read_slab(find_source(str(foreign), 2, communicator), communicator)
    digests = communicator.allgather_object(slab.digest)
    expected = read_slab(find_source(str(foreign), 2, SerialCommunicator()), SerialCommunicator()).digest
    assert digests == [expected] * communicator.size
    joined = b"".join(communicator.allgather_object(slab.rows.tobytes()))
    assert hashlib.sha256(joined).digest() == hashlib.sha256(whole.tobytes()).digest()
