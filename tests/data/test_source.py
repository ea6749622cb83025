"""`FILE.h5:/path` names a data set everywhere, and its rows are those that plain h5py reads."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from hpcjobs.data.source import Reader, find_source, locate, locate_ids, split_name
from hpcjobs.errors import DataError
from hpcjobs.parallel.communicator import SerialCommunicator

X = np.random.default_rng(3).normal(size=(1000, 7)) * 50


def read(argument: str, dimensions: int = 2, rows: int = 64) -> np.ndarray:
    source = locate(argument, dimensions)
    with Reader(source) as reader:
        return np.concatenate(list(reader.blocks(0, source.rows, rows)))


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Every way in which others store the same numbers."""
    path = tmp_path / "foreign.h5"
    with h5py.File(path, "w", userblock_size=512) as file:
        for kind in ("<f8", ">f8", "<f4", ">f4", "<i4", ">i8", "u1", "<u2", "<f2"):
            file[f"plain/{kind[-2:]}{'b' if kind[0] == '>' else ''}"] = np.abs(X).astype(kind)
        group = file.create_group("stored")
        group.create_dataset("chunked", data=X, chunks=(64, 3))
        group.create_dataset("gzip", data=X, chunks=(100, 7), compression="gzip", shuffle=True, fletcher32=True)
        group.create_dataset("lzf", data=X.astype(">f4"), compression="lzf")
        group.create_dataset("growing", data=X, maxshape=(None, 7))
        compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        compact.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((20, 7))
        low = h5py.h5d.create(group.id, b"compact", h5py.h5t.NATIVE_DOUBLE, space, compact)
        h5py.Dataset(low)[...] = X[:20]
    return path


def names(path: Path) -> list[str]:
    with h5py.File(path) as file:
        return [f"/{group}/{name}" for group in file for name in file[group]]


def test_every_layout_type_and_byte_order_reads_as_h5py_reads_it(foreign: Path) -> None:
    found = names(foreign)
    assert len(found) == 14
    for name in found:
        with h5py.File(foreign) as file:
            expected = file[name][()]
        values = read(f"{foreign}:{name}")
        assert values.dtype == locate(f"{foreign}:{name}", 2).dtype == expected.dtype.newbyteorder("=")
        np.testing.assert_array_equal(values, expected)


def test_contiguous_native_rows_are_read_straight_from_the_file(foreign: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    straight = {name for name in names(foreign) if locate(f"{foreign}:{name}", 2).offset is not None}
    assert straight == {f"/plain/{kind}" for kind in ("f8", "f4", "i4", "u1", "u2", "f2")}
    source = locate(f"{foreign}:/plain/f8", 2)
    with h5py.File(foreign) as file:
        assert source.offset == file["plain/f8"].id.get_offset()
    monkeypatch.setattr("hpcjobs.data.safety.open_hdf5", lambda *_: pytest.fail("h5py was asked"))
    rows = np.empty((10, 7))
    with Reader(source) as reader:
        reader.read(990, rows)
    np.testing.assert_array_equal(rows, np.abs(X)[990:])


@pytest.mark.parametrize("padding", [h5py.h5t.STR_SPACEPAD, h5py.h5t.STR_NULLTERM, h5py.h5t.STR_NULLPAD])
def test_ids_of_text_come_without_their_padding(tmp_path: Path, padding: int) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = X[:2]
        kind = h5py.h5t.C_S1.copy()
        kind.set_size(6)
        kind.set_strpad(padding)
        space = h5py.h5s.create_simple((2,))
        low = h5py.h5d.create(file.id, b"id", kind, space)
        low.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([b"ab", b"c"], dtype="S6"))
    source = locate_ids(locate(f"{path}:/x", 2))
    with Reader(source) as reader:
        assert next(reader.blocks(0, 2, 2)).tolist() == [b"ab", b"c"]


def test_integers_of_odd_precision_are_converted_by_libhdf5(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        kind = h5py.h5t.STD_I32LE.copy()
        kind.set_precision(12)
        kind.set_offset(8)
        low = h5py.h5d.create(file.id, b"x", kind, h5py.h5s.create_simple((2, 3)))
        low.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([[1, -2, 3], [4, 5, -600]], dtype="i4"))
    assert read(f"{path}:/x").tolist() == [[1, -2, 3], [4, 5, -600]]


def test_a_name_is_split_at_its_last_colon_unless_such_a_file_exists(tmp_path: Path) -> None:
    assert split_name("a.h5") == (Path("a.h5"), None)
    assert split_name("a.h5:/data/x") == (Path("a.h5"), "/data/x")
    assert split_name("b:/a.h5:/x") == (Path("b:/a.h5"), "/x")
    odd = tmp_path / "odd:"
    odd.mkdir()
    (odd / "x").write_bytes(b"")
    assert split_name(str(odd / "x")) == (odd / "x", None)


def test_without_a_name_our_schema_wins_then_the_only_fitting_data_set(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["b/points"] = X
        file["a/flat"] = X[:, 0]
        file["text"] = [[b"a", b"b"]]
    assert locate(str(path), 2).name == "/b/points"
    assert locate(str(path), 1).name == "/a/flat"
    with pytest.raises(DataError, match="no numeric data set with 3 axes"):
        locate(str(path), 3)
    with h5py.File(path, "a") as file:
        file["a/other"] = X[:5]
    listed = rf"2 data sets would fit; say which: {path}:/a/other \(5, 7\), {path}:/b/points \(1000, 7\)"
    with pytest.raises(DataError, match=listed):
        locate(str(path), 2)
    with h5py.File(path, "a") as file:
        file["data/x"] = X
    assert str(find_source(str(path), 2, SerialCommunicator())) == f"{path}:/data/x"


def test_ids_stand_beside_the_rows_when_there_is_one_a_row(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = X[:4]
        file["id"] = np.arange(4)
        for group, ids in (
            ("short", np.arange(3)),
            ("floats", np.arange(4.0)),
            ("square", np.ones((4, 4), "i4")),
        ):
            file[f"{group}/x"] = X[:4]
            file[f"{group}/id"] = ids
        file["linked/x"] = X[:4]
        file["linked/id"] = h5py.SoftLink("/id")
    assert locate(f"{path}:/x", 2).id_name == "/id"
    for group in ("short", "floats", "square", "linked"):
        assert locate(f"{path}:/{group}/x", 2).id_name is None


def test_our_file_tells_its_digest_and_its_ids(our_file: Path, values: np.ndarray) -> None:
    source = locate(str(our_file), 2)
    assert (source.name, source.shape, source.id_name) == ("/data/x", (3000, 400), "/data/id")
    assert len(source.digest) == 64
    assert source.offset is not None
    np.testing.assert_array_equal(read(str(our_file), rows=701), values)
    assert locate_ids(source).offset is not None
    with Reader(locate_ids(source)) as reader:
        assert next(reader.blocks(2999, 3000, 1))[0].decode() == "tile-2999ä"


def test_a_file_that_changed_since_it_was_looked_at_is_not_read(our_file: Path, foreign: Path) -> None:
    ours, other = locate(str(our_file), 2), locate(f"{foreign}:/plain/f8", 2)
    os.truncate(foreign, foreign.stat().st_size + 1)
    with pytest.raises(DataError, match="changed since this run looked at it; start again"):
        Reader(other)
    our_file.write_bytes(foreign.read_bytes())
    with pytest.raises(DataError, match="changed since"):
        Reader(ours)
