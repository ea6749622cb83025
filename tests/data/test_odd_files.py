"""Damaged files of other programs, and what is no HDF5 file at all, end in a message that names them."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from hpcjobs.data.inspect import describe_file, verify_file
from hpcjobs.data.source import Reader, locate
from hpcjobs.errors import DataError


def test_foreign_files_with_flipped_bytes_give_data_or_a_message_never_another_error(tmp_path: Path) -> None:
    path = tmp_path / "foreign.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("data/x", data=np.arange(60.0).reshape(20, 3), chunks=(7, 3), compression="gzip")
        file.create_dataset("data/id", data=np.arange(20))
        file.create_dataset("data/note", data=[b"ab"] * 4)
    whole = path.read_bytes()
    random = np.random.default_rng(4)
    refused = 0
    for position in random.integers(0, min(len(whole), 4096), 400):
        content = bytearray(whole)
        content[position] ^= 1 << int(random.integers(8))
        path.write_bytes(content)
        try:
            source = locate(f"{path}:/data/x", 2)
            with Reader(source) as reader:
                list(reader.blocks(0, source.rows, 6))
            describe_file(path)
            verify_file(path)
        except DataError as error:
            assert str(path) in str(error)
            refused += 1
    assert refused > 20


def test_truncated_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.ones((500, 3))
    whole = path.read_bytes()
    for length in (0, 5, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"foreign.h5"):
            locate(f"{path}:/x", 2)


def test_what_is_no_hdf5_file_is_named_with_the_way_out(tmp_path: Path) -> None:
    text = tmp_path / "a.h5"
    text.write_text("x,y\n1,2\n")
    with pytest.raises(DataError, match=r"a.h5: not a readable HDF5 file .* `hpcjobs data import`"):
        locate(str(text), 2)
    with pytest.raises(DataError, match=r"no such file .looked in "):
        locate(str(tmp_path / "none.h5"), 2)
    with pytest.raises(DataError, match="this is a folder; name an HDF5 file in it"):
        locate(str(tmp_path), 2)
    with pytest.raises(DataError, match=r"a.h5/b.h5: cannot be read: Not a directory"):
        locate(str(text / "b.h5"), 2)
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for a writer
    with pytest.raises(DataError, match="pipe"):
        locate(str(tmp_path / "pipe"), 2)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(our_file: Path) -> None:
    our_file.chmod(0)
    with pytest.raises(DataError, match="no permission to read it; ask its owner"):
        locate(str(our_file), 2)
