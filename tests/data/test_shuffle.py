"""A shuffle: the documented permutation, of everything that a row carries, whatever the memory and the ranks."""

import hashlib
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.stats
import xarray
from data import samples_made

from hpcjobs.data import shuffle as module
from hpcjobs.data.inspect import describe_file, verify_file
from hpcjobs.data.shuffle import shuffle
from hpcjobs.data.slab import read_slab
from hpcjobs.data.source import locate_rows
from hpcjobs.errors import DataError, SettingsError
from hpcjobs.parallel.communicator import Communicator, SerialCommunicator
from hpcjobs.parallel.memory import free_memory
from hpcjobs.parallel.randomness import words

GOLDEN = [8, 1, 3, 5, 4, 2, 0, 6, 7]
ROW_ARRAYS = ("x", "id", "y", "weights", "patient", "position")


def permutation(seed: int, rows: int) -> np.ndarray:
    """The recipe of docs/data-rows.md, written down once more."""
    key = np.frombuffer(hashlib.sha256(f"{seed}:data shuffle".encode()).digest()[:16], "<u8")
    keys = np.random.Philox(key=key, counter=0).random_raw(rows).tolist()
    return np.array(sorted(range(rows), key=lambda row: (keys[row], row)))


def test_every_variable_of_a_row_goes_along_in_the_documented_order(tmp_path: Path) -> None:
    held = samples_made.ours(tmp_path / "a.h5")
    shuffle(str(tmp_path / "a.h5"), tmp_path / "b.h5", 5)
    found, order = samples_made.read(tmp_path / "b.h5"), permutation(5, 200)
    for name in ROW_ARRAYS:
        np.testing.assert_array_equal(found[name], held[name][order])
        assert found[name].dtype == held[name].dtype


def test_what_belongs_to_no_row_stays_with_its_names_and_units(tmp_path: Path) -> None:
    samples_made.ours(tmp_path / "a.h5")
    report = shuffle(str(tmp_path / "a.h5"), tmp_path / "b.h5")
    assert str(report) == f"{tmp_path}/b.h5: 200 rows shuffled (id, patient, position, weights, x, y; one pass)"
    with h5py.File(tmp_path / "a.h5") as before, h5py.File(tmp_path / "b.h5") as after:
        names: list[str] = []
        before.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        for name in names:
            assert after[name].shape == before[name].shape
            assert [after[name].attrs[key] for key in ("units", "long_name")] == [
                before[name].attrs[key] for key in ("units", "long_name")
            ]
            if name.rpartition("/")[2] not in ROW_ARRAYS:
                np.testing.assert_array_equal(after[name][()], before[name][()])
        assert after["data/x"].dims[3][0].name == "/data/channel"
        root = dict(after.attrs)
    assert (root["title"], root["source"]) == (b"tiles, shuffled", b"hpcjobs data shuffle a.h5 --seed 0")
    assert root["source_digest"].decode() == describe_file(tmp_path / "a.h5")["file_digest"]
    assert verify_file(tmp_path / "b.h5")["file_digest"] == report.digest
    with xarray.open_dataset(tmp_path / "b.h5", engine="h5netcdf", group="data") as dataset:
        assert dataset["weights"].dims == ("id",)


def test_the_order_is_this_one_for_ever() -> None:
    """Golden: a change here would break every result that names a seed."""
    assert np.argsort(words(42, module.PURPOSE, 0, 9), kind="stable").tolist() == permutation(42, 9).tolist() == GOLDEN


def test_words_of_rows_do_not_depend_on_where_one_begins() -> None:
    every = words(3, "a purpose", 0, 9000)
    for start, stop in ((0, 1), (4095, 4097), (4096, 8192), (8999, 9000), (5, 5)):
        np.testing.assert_array_equal(words(3, "a purpose", start, stop), every[start:stop])


def test_every_order_is_as_likely_as_every_other() -> None:
    orders = [tuple(np.argsort(words(seed, module.PURPOSE, 0, 4))) for seed in range(2400)]
    counts = [orders.count(order) for order in set(orders)]
    assert len(counts) == 24
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("memory", [10**9, 20_000, 12_000, 3000])
def test_memory_is_no_matter_for_the_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: int) -> None:
    monkeypatch.setattr(module, "SMALLEST_WRITE", 1)
    samples_made.ours(tmp_path / "a.h5")
    expected = shuffle(str(tmp_path / "a.h5"), tmp_path / "b.h5", 1)
    found = shuffle(str(tmp_path / "a.h5"), tmp_path / "c.h5", 1, memory)
    assert (found.buckets > 1) == (memory < 10**9)
    assert found.digest == expected.digest
    assert (tmp_path / "b.h5").read_bytes() == (tmp_path / "c.h5").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "b.h5", "c.h5"]


def test_no_more_than_the_memory_allowed_is_held(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.random.default_rng(0).integers(0, 255, size=(30_000, 1000), dtype=np.uint8)  # 30 MB

    def work() -> None:
        assert shuffle(str(tmp_path / "a.h5"), tmp_path / "b.h5", 1, 16_000_000).buckets > 2

    assert samples_made.peak(work) < 17_000_000


@pytest.mark.mpi(ranks=(2, 4))
def test_the_number_of_ranks_is_no_matter_for_the_bytes(communicator: Communicator, tmp_path: Path) -> None:
    folder = Path(communicator.bcast_object(tmp_path))
    if communicator.rank == 0:
        samples_made.ours(folder / "a.h5", 500)
        samples_made.ours(folder / "few.h5", 3)
        samples_made.foreign(folder / "foreign.h5")
        for name in ("a.h5", "few.h5", "foreign.h5:/train/images"):
            shuffle(f"{folder}/{name}", folder / f"one-{name[:3]}.h5", 9)
    communicator.barrier()
    for name in ("a.h5", "few.h5", "foreign.h5:/train/images"):
        many = folder / f"many-{name[:3]}.h5"
        shuffle(f"{folder}/{name}", many, 9, communicator=communicator)
        assert many.read_bytes() == (folder / f"one-{name[:3]}.h5").read_bytes()
    assert not list(folder.glob(".*.tmp"))


def test_the_hdf5_of_others_brings_along_what_is_as_long(tmp_path: Path) -> None:
    held = samples_made.foreign(tmp_path / "a.h5")
    shuffle(f"{tmp_path}/a.h5:/train/images", tmp_path / "b.h5", 2)
    found, order = samples_made.read(tmp_path / "b.h5"), permutation(2, 60)
    assert set(found) == {"x", "y", "patient", "id", "row", "column", "channel"}
    for name in ("x", "y", "patient"):
        np.testing.assert_array_equal(found[name], held[name][order])
    np.testing.assert_array_equal(found["id"], order)
    with h5py.File(tmp_path / "b.h5") as file:
        digest = file.attrs["source_digest"].decode()
    alone = SerialCommunicator()
    assert digest == read_slab(locate_rows(f"{tmp_path}/a.h5:/train/images"), alone).digest


def test_one_row_and_a_table_without_a_name_work(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["only"] = np.ones((1, 3))
    shuffle(str(tmp_path / "a.h5"), tmp_path / "b.h5")
    assert samples_made.read(tmp_path / "b.h5")["x"].tolist() == [[1, 1, 1]]


def test_a_full_disk_in_the_first_pass_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SMALLEST_WRITE", 1)
    samples_made.ours(tmp_path / "a.h5")

    def full(*_: object) -> int:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(DataError, match=r"b.h5: cannot be written: No space left on device; nothing was left there"):
        shuffle(str(tmp_path / "a.h5"), tmp_path / "b.h5", 1, 12_000)
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


@pytest.mark.parametrize(
    ("source", "out", "options", "message"),
    [
        ("a.h5", "a.h5", {"force": True}, "is the source itself"),
        ("a.h5", "there.h5", {}, "exists already"),
        ("a.h5", "no/b.h5", {}, "there is no folder"),
        ("a.h5", "b.h5", {"seed": -1}, "--seed -1: expected 0 or more"),
        ("a.h5", "b.h5", {"memory": 100}, "--memory 100: too little to shuffle 200 rows of 60 bytes"),
        ("a.h5", "b.h5", {"memory": 9000}, r"give each rank at least \d+MB"),
        ("absent.h5", "b.h5", {}, "no such file"),
        ("f.h5", "b.h5", {}, r"data sets would fit; say which: .*/train/images"),
        ("f.h5:/train/image", "b.h5", {}, "did you mean 'images'"),
        ("both.h5:/images", "b.h5", {}, "would both become /data/x"),
        ("objects.h5:/images", "b.h5", {}, "/names: holds objects or variable-length data"),
        ("there.h5", "b.h5", {}, "not a readable HDF5 file"),
    ],
)
def test_what_cannot_be_shuffled_is_said_before_any_work(
    tmp_path: Path, source: str, out: str, options: dict[str, object], message: str
) -> None:
    samples_made.ours(tmp_path / "a.h5")
    samples_made.foreign(tmp_path / "f.h5")
    (tmp_path / "there.h5").write_bytes(b"precious")
    for name, more in (("both", "x"), ("objects", "names")):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["images"] = np.ones((3, 2))
            file[more] = np.ones((3, 1)) if more == "x" else ["a", "b", "c"]
    before = sorted(tmp_path.iterdir())
    with pytest.raises((DataError, SettingsError), match=message):
        shuffle(f"{tmp_path}/{source}", tmp_path / out, **options)
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "there.h5").read_bytes() == b"precious"


def test_free_memory_is_a_part_of_what_the_machine_has() -> None:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < free_memory(SerialCommunicator()) < pages
