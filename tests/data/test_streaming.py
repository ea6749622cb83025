"""Rows that stay in their file are those of the array, however they are asked for, and few are in memory."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from hpcjobs.data.slab import digest_rows, read_slab
from hpcjobs.data.source import Source, locate_rows
from hpcjobs.data.streaming import Streamed, take
from hpcjobs.errors import DataError
from hpcjobs.parallel.communicator import Communicator, SerialCommunicator

Array = NDArray[Any]
ROWS = 103


def plain(rows: Array) -> Array:
    return rows


class Halved:
    """A conversion to float32 that may work in place."""

    def dtype(self, given: np.dtype[Any]) -> np.dtype[Any]:
        return np.dtype(np.float32)

    def __call__(self, rows: Array) -> Array:
        return (rows / 2).astype(np.float32)


@pytest.fixture(params=["contiguous", "gzip", "big-endian"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    """Rows that hold their own number, in a file of another program."""
    rows = np.arange(ROWS * 3, dtype=np.float64).reshape(ROWS, 3)
    with h5py.File(tmp_path / "d.h5", "w") as file:
        packed = {"compression": "gzip", "chunks": (10, 3)} if request.param == "gzip" else {}
        file.create_dataset("x", data=rows, dtype=">f8" if request.param == "big-endian" else "f8", **packed)
    return locate_rows(f"{tmp_path}/d.h5:/x")


EXPECTED = np.arange(ROWS * 3, dtype=np.float64).reshape(ROWS, 3)


@pytest.mark.parametrize("block", [1, 7, 50, 103, 1000])
def test_runs_are_those_of_the_array(source: Source, block: int) -> None:
    with Streamed(source, range(20, 90), block, plain, np.float64) as found:
        assert found.shape == (70, 3)
        assert len(found) == 70
        for start, stop in ((0, 70), (0, 0), (70, 70), (5, 6), (69, 70), (13, 41), (41, 13), (60, 200), (0, 7)):
            np.testing.assert_array_equal(found[start:stop], EXPECTED[20:90][start:stop])
        for _ in range(3):  # one pass after another
            parts = [found[start : start + block] for start in range(0, 70, block)]
            np.testing.assert_array_equal(np.concatenate(parts), EXPECTED[20:90])


@pytest.mark.parametrize("block", [1, 4, 1000])
def test_single_rows_are_those_of_the_array(source: Source, block: int) -> None:
    indices = np.array([0, 0, 69, 3, 40, 40, 1])
    with Streamed(source, range(20, 90), block, plain, np.float64) as found:
        found[0:1]  # the next block is on its way meanwhile
        np.testing.assert_array_equal(take(found, indices), EXPECTED[20:90][indices])
        assert take(found, indices[:0]).shape == (0, 3)
    np.testing.assert_array_equal(take(EXPECTED[20:90], indices), EXPECTED[20:90][indices])


@pytest.mark.parametrize("block", [1, 8, 1000])
def test_rows_that_are_left_out_and_converted(source: Source, block: int) -> None:
    for kept in (np.array([0, 1, 2, 30, 69]), np.arange(70)[::3], np.arange(0), np.arange(70), np.array([69])):
        whole = Streamed(source, range(20, 90), block, plain, np.float64)
        with whole.only(kept).then(Halved()) as found:
            expected = (EXPECTED[20:90][kept] / 2).astype(np.float32)
            assert found.dtype == np.float32
            assert found[:].dtype == np.float32
            np.testing.assert_array_equal(found[:], expected)
            if len(kept) > 1:
                np.testing.assert_array_equal(take(found, np.array([1, 0])), expected[[1, 0]])
                again = found.only(np.arange(1, len(kept)))
                np.testing.assert_array_equal(again[:], expected[1:])
                again.close()


def test_no_rows_are_an_empty_array(source: Source) -> None:
    with Streamed(source, range(50, 50), 10, plain, np.float64) as found:
        assert found[0:10].shape == (0, 3)


def peak(action: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("every", [1, 1000])
def test_few_blocks_are_in_memory_even_where_few_rows_of_many_are_kept(tmp_path: Path, every: int) -> None:
    rows, block = 40_000, 500
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["x"] = np.ones((rows, 16))
    source = locate_rows(f"{tmp_path}/d.h5:/x")

    def passes() -> None:
        with Streamed(source, range(rows), block, plain, np.float64).only(np.arange(0, rows, every)) as found:
            for _ in range(2):
                for start in range(0, len(found), block):
                    found[start : start + block].sum()

    assert peak(passes) < 6 * block * 16 * 8 + 400_000


def test_a_file_that_ends_too_early_is_told_of(source: Source) -> None:
    with Streamed(source, range(ROWS), 10, plain, np.float64) as found:
        found[0:10]
        with source.file.open("r+b") as file:
            file.truncate(3000)
        if source.offset is not None:
            with pytest.raises(DataError, match="truncated"):
                found[:]


@pytest.mark.mpi(ranks=(1, 3))
def test_the_digest_is_that_of_rows_in_memory(communicator: Communicator, tmp_path_factory: Any) -> None:
    folder = communicator.bcast_object(str(tmp_path_factory.mktemp("digest")))
    if communicator.rank == 0:
        with h5py.File(f"{folder}/d.h5", "w") as file:
            file["x"] = np.random.default_rng(0).normal(size=(20_000, 3)).astype(np.float32)
            file["few"] = np.ones((2, 2, 2))
    communicator.barrier()
    for name in ("x", "few"):
        source = locate_rows(f"{folder}/d.h5:/{name}")
        assert digest_rows(source, communicator) == read_slab(source, communicator).digest
    alone = locate_rows(f"{folder}/d.h5:/x")
    assert digest_rows(alone, communicator) == digest_rows(alone, SerialCommunicator())


def test_the_digest_is_read_in_parts(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    from hpcjobs.data import slab

    whole = digest_rows(source, SerialCommunicator())
    monkeypatch.setattr(slab, "RUN_BYTES", 1)
    assert digest_rows(source, SerialCommunicator()) == whole
