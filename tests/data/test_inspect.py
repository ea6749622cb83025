"""`describe_file` tells what h5py would tell, as plain JSON, from the metadata alone."""

import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from hpcjobs.data.inspect import describe_file, verify_file
from hpcjobs.data.layout import lay_out
from hpcjobs.data.record import BLOCK, USER_BLOCK, leaf, make_record
from hpcjobs.data.schema import Contents, Rows, Variable
from hpcjobs.errors import DataError


def seen_by_h5py(path: Path) -> dict[str, tuple[list[int], str]]:
    found: dict[str, tuple[list[int], str]] = {}

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[f"/{name}"] = (list(item.shape), str(item.dtype))

    with h5py.File(path) as file:
        file.visititems(note)
    return found


def test_our_file_is_described_as_h5py_sees_it(our_file: Path) -> None:
    told = describe_file(our_file)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    found = {entry["path"]: (entry["shape"], entry["dtype"]) for entry in told["datasets"]}
    assert found == seen_by_h5py(our_file)
    assert (told["file"], told["size"]) == (str(our_file), our_file.stat().st_size)
    with h5py.File(our_file) as file:
        for name in ("kind", "job", "title", "created", "run_uuid", "result_digest"):
            assert told[name] == file.attrs[name].decode()
    assert (told["schema"], told["complete"], told["record"], told["source"]) == ("1.0", 1, True, None)
    assert told["file_digest"] == verify_file(our_file)["file_digest"]
    assert not any("problem" in entry for entry in told["datasets"])


def test_data_sets_come_in_name_order_with_units_and_storage(tmp_path: Path) -> None:
    path = tmp_path / "foreign.h5"
    with h5py.File(path, "w") as file:
        for name in ("b/z", "b/a", "c", "a/x/y", "a/w"):
            file[name] = np.ones(3)
        file["c"].attrs["units"] = "m s-1"
        file["c"].attrs["long_name"] = np.array([b"a", b"b"])
        file.create_dataset("d", (100, 9), "<i2", chunks=(10, 3), compression="gzip", shuffle=True)
        file.create_dataset("e", data=h5py.Empty("f4"))
        file["f"] = "text"
        file["l"] = h5py.SoftLink("/c")
    told = describe_file(path)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    entries = {entry["path"]: entry for entry in told["datasets"]}
    assert list(entries) == ["/a/w", "/a/x/y", "/b/a", "/b/z", "/c", "/d", "/e", "/f"]
    assert (entries["/c"]["units"], entries["/c"]["long_name"]) == ("m s-1", None)
    assert entries["/c"]["storage"] == "contiguous"
    assert entries["/d"]["storage"] == "chunks of (10, 3), shuffle, gzip"
    assert entries["/e"]["shape"] is None
    assert "objects or variable-length" in entries["/f"]["problem"]
    assert (told["schema"], told["record"], told["file_digest"]) == (None, False, None)


@pytest.fixture
def bytes_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How much each read from now on brought."""
    found: list[int] = []
    pread, preadv = os.pread, os.preadv

    def counting_pread(descriptor: int, length: int, offset: int) -> bytes:
        content = pread(descriptor, length, offset)
        found.append(len(content))
        return content

    def counting_preadv(descriptor: int, buffers: list[Any], offset: int) -> int:
        count = preadv(descriptor, buffers, offset)
        found.append(count)
        return count

    monkeypatch.setattr(os, "pread", counting_pread)
    monkeypatch.setattr(os, "preadv", counting_preadv)
    return found


@pytest.mark.parametrize("rows", [2**10, 2**30])
def test_the_size_of_the_data_does_not_matter(tmp_path: Path, rows: int, bytes_read: list[int]) -> None:
    path = tmp_path / "large.h5"
    with h5py.File(path, "w", libver="latest") as file:
        low = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        low.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        low.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        space = h5py.h5s.create_simple((rows, 100))
        h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_UINT8, space, low)
    assert path.stat().st_size > 100 * rows  # 100 GB, sparse
    bytes_read.clear()
    assert describe_file(path)["datasets"][0]["shape"] == [rows, 100]
    assert 0 < sum(bytes_read) < 20_000
    assert len(bytes_read) < 40


def test_of_a_large_file_of_ours_only_the_blocks_of_its_metadata_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bytes_read: list[int]
) -> None:
    path, rows = tmp_path / "large.h5", 2**30
    path.touch()
    variables = {
        "/data/x": Variable(("id", "feature"), Rows(rows, 0, np.dtype(np.uint8), (100,), tuple), "features"),
        "/data/id": Variable(("id",), Rows(rows, 0, np.dtype(np.int64), (), tuple), "number of the row"),
    }
    monkeypatch.setattr(
        "hpcjobs.data.layout._allocate", lambda path, size: os.truncate(path, max(size, path.stat().st_size))
    )
    lay_out(path, Contents("input", "sparse", variables))
    commit_sparse(path)
    bytes_read.clear()
    told = describe_file(path)
    assert told["size"] > 108 * rows
    assert {entry["path"]: entry["shape"] for entry in told["datasets"]}["/data/x"] == [rows, 100]
    assert sum(bytes_read) < 2**25


def commit_sparse(path: Path) -> None:
    """Append leaves and record to a laid out file whose blocks are nearly all holes."""
    length = path.stat().st_size - USER_BLOCK
    leaves = [leaf(bytes(BLOCK))] * (length // BLOCK) + [leaf(bytes(length % BLOCK))] * (length % BLOCK > 0)
    with path.open("r+b") as file:
        position = USER_BLOCK
        while position < USER_BLOCK + length:
            try:
                position = os.lseek(file.fileno(), position, os.SEEK_DATA)
            except OSError:  # nothing but a hole to the end
                break
            index = (position - USER_BLOCK) // BLOCK
            file.seek(USER_BLOCK + index * BLOCK)
            leaves[index] = leaf(file.read(min(BLOCK, length - index * BLOCK)))
            position = USER_BLOCK + (index + 1) * BLOCK
        file.seek(0, os.SEEK_END)
        file.write(b"".join(leaves))
        file.seek(0)
        file.write(make_record(length, b"".join(leaves)).encode())


def test_the_file_of_another_program_is_said_to_keep_no_digest(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.ones(3)
        file["result/x"] = np.ones(3)
    report = verify_file(tmp_path / "a.h5")
    assert (report["record"], report["blocks"], report["result_digest"]) == (False, 0, None)
    assert "keeps no digest: nothing to verify" in report["message"]
    assert json.loads(json.dumps(report)) == report


@pytest.mark.parametrize("use", [describe_file, verify_file])
def test_what_is_no_hdf5_file_is_refused(tmp_path: Path, use: Any) -> None:
    (tmp_path / "a.h5").write_bytes(b"text" * 1000)
    with pytest.raises(DataError, match="not a readable HDF5 file"):
        use(tmp_path / "a.h5")
    with pytest.raises(DataError, match="no such file"):
        use(tmp_path / "b.h5")
