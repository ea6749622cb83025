"""Each rank reads its own rows; digest, ids and complaints are the same whatever the number of ranks."""

from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import h5py
import numpy as np
import pytest

from hpcjobs.data.schema import Rows
from hpcjobs.data.slab import identities, read_slab, refuse_rows
from hpcjobs.data.source import Source, locate
from hpcjobs.errors import DataError
from hpcjobs.parallel.communicator import SerialCommunicator

X = np.random.default_rng(8).normal(size=(37, 3))


class Threads(SerialCommunicator):
    """Ranks that are threads of this process, with the one collective that slabs need."""

    def __init__(self, rank: int, size: int, barrier: Barrier, table: list[Any]) -> None:
        self.rank, self.size = rank, size
        self._barrier, self._table = barrier, table

    def allgather_object(self, value: Any) -> list[Any]:
        self._table[self.rank] = value
        self._barrier.wait()
        found = list(self._table)
        self._barrier.wait()
        return found

    def bcast_object(self, value: Any, root: int = 0) -> Any:
        return self.allgather_object(value)[root]


def on_ranks(size: int, work: Any) -> list[Any]:
    """What `work(communicator)` returns, or the error it raises, on each of `size` ranks."""
    barrier, table = Barrier(size), [None] * size
    results: list[Any] = [None] * size

    def run(rank: int) -> None:
        try:
            results[rank] = work(Threads(rank, size, barrier, table))
        except Exception as error:
            results[rank] = error

    threads = [Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


@pytest.fixture(params=["plain", "gzip", "big"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        values = X.astype(">f8") if request.param == "big" else X
        file.create_dataset("x", data=values, compression="gzip" if request.param == "gzip" else None)
        texts = np.array([f"s{row}".encode() for row in range(37)])
        file["id"] = texts if request.param == "gzip" else np.arange(100, 137)
    return locate(f"{path}:/x", 2)


@pytest.mark.parametrize("size", [1, 2, 3, 8, 40])
def test_the_slabs_of_all_ranks_are_the_whole_table_with_one_digest(source: Source, size: int) -> None:
    slabs = on_ranks(size, lambda comm: read_slab(source, comm))
    np.testing.assert_array_equal(np.concatenate([slab.rows for slab in slabs]), X)
    assert [slab.start for slab in slabs] == list(np.cumsum([0, *(len(slab.rows) for slab in slabs)])[:-1])
    assert len({slab.digest for slab in slabs}) == 1
    assert slabs[0].digest == read_slab(source, SerialCommunicator()).digest
    assert slabs[0].digest.startswith("rows:")


def test_a_foreign_digest_changes_with_any_row(tmp_path: Path) -> None:
    digests = set()
    for row in (None, 0, 17, 36):
        values = X.copy()
        if row is not None:
            values[row, 1] = np.nextafter(values[row, 1], 9)
        path = tmp_path / f"{row}.h5"
        with h5py.File(path, "w") as file:
            file["x"] = values
        digests.add(read_slab(locate(str(path), 2), SerialCommunicator()).digest)
    assert len(digests) == 4


def test_a_foreign_digest_does_not_depend_on_how_the_numbers_are_stored(tmp_path: Path) -> None:
    digests = set()
    for name, properties in (("little", {}), ("big", {"dtype": ">f8"}), ("gzip", {"compression": "gzip"})):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file.create_dataset("x", data=X, **properties)
        digests.add(read_slab(locate(str(tmp_path / f"{name}.h5"), 2), SerialCommunicator()).digest)
    assert len(digests) == 1


def test_our_own_file_brings_its_digest(our_file: Path, values: np.ndarray) -> None:
    source = locate(str(our_file), 2)
    slabs = on_ranks(3, lambda comm: read_slab(source, comm))
    np.testing.assert_array_equal(np.concatenate([slab.rows for slab in slabs]), values)
    assert {slab.digest for slab in slabs} == {source.digest}


@pytest.mark.parametrize("size", [1, 2, 5])
def test_ids_are_carried_row_by_row(source: Source, size: int) -> None:
    def ids(comm: Threads) -> list[Any]:
        rows = identities(source, comm).values
        assert isinstance(rows, Rows)
        assert rows.total == 37
        return [value for block in rows.blocks() for value in block.tolist()]

    found = [value for part in on_ranks(size, ids) for value in part]
    with h5py.File(source.file) as file:
        assert found == file["id"][:].tolist()


def test_rows_without_ids_are_numbered(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = X
    source = locate(str(tmp_path / "a.h5"), 2)
    parts = on_ranks(4, lambda comm: np.concatenate(list(identities(source, comm).values.blocks())))
    assert np.concatenate(parts).tolist() == list(range(37))


def test_damage_met_by_one_rank_is_raised_on_all(our_file: Path, values: np.ndarray) -> None:
    source = locate(str(our_file), 2)
    content = bytearray(our_file.read_bytes())
    content[bytes(content).index(values[2900].tobytes())] ^= 1
    our_file.write_bytes(content)
    found = on_ranks(3, lambda comm: read_slab(source, comm))
    assert [str(error) for error in found] == [str(found[0])] * 3
    assert "is damaged" in str(found[0])


def test_wrong_rows_are_counted_over_ranks_and_named_by_their_ids(source: Source) -> None:
    def refuse(comm: Threads) -> None:
        wrong = np.arange(10 * comm.rank, 10 * comm.rank + 4)
        refuse_rows(source, wrong, "values that are not finite", "mend them", comm)

    with h5py.File(source.file) as file:
        ids = [file["id"][row] for row in (0, 1, 2, 3, 10)]
    named = ", ".join(f"id {value.decode() if isinstance(value, bytes) else value}" for value in ids)
    expected = f"{source}: 8 of 37 rows hold values that are not finite: {named} and 3 more; mend them"
    for error in on_ranks(2, refuse):
        assert isinstance(error, DataError)
        assert str(error) == expected


def test_no_wrong_rows_are_no_error_and_rows_without_ids_are_named_by_number(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = X
    source = locate(str(tmp_path / "a.h5"), 2)
    refuse_rows(source, np.array([], dtype=np.int64), "x", "y", SerialCommunicator())
    with pytest.raises(DataError, match="2 of 37 rows hold x: row 4, row 36; y"):
        refuse_rows(source, np.array([4, 36]), "x", "y", SerialCommunicator())
