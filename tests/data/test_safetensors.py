"""Files in the safetensors format, against the library of those who made it."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load, save_file

from hpcjobs.data.safetensors import decode, encode
from hpcjobs.errors import DataError

ARRAYS = {
    "b": np.arange(6, dtype=np.float32).reshape(1, 2, 3),
    "a": np.array(2.5, dtype=np.float64),
    "empty": np.empty((0, 4), dtype=np.float32),
    "ünï": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
}


def test_the_library_reads_what_we_write(tmp_path: Path) -> None:
    content = encode(ARRAYS, {"digest": "abc"})
    for name, array in load(content).items():
        np.testing.assert_array_equal(array, ARRAYS[name], strict=True)
    (tmp_path / "ours").write_bytes(content)
    with safe_open(tmp_path / "ours", "numpy") as file:
        assert file.metadata() == {"digest": "abc"}
        assert set(file.keys()) == set(ARRAYS)


def test_we_read_what_the_library_writes(tmp_path: Path) -> None:
    save_file({name: array.copy(order="C") for name, array in ARRAYS.items()}, tmp_path / "theirs", {"k": "v"})
    arrays, metadata = decode(tmp_path / "theirs")
    assert metadata == {"k": "v"}
    assert set(arrays) == set(ARRAYS)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, ARRAYS[name], strict=True)


def entry(**changed: object) -> bytes:
    text = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changed}).encode()
    return len(text).to_bytes(8, "little") + text + bytes(8)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 16,
        (2).to_bytes(8, "little") + b"[]",
        (4).to_bytes(8, "little") + b"{{{{",
        entry(shape=[3]),
        entry(shape=[-1, -2]),
        entry(data_offsets=[4, 12]),
        entry(data_offsets=[8, 0]),
        entry(dtype="I64"),
        entry(shape=["x"]),
        entry(shape=None),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.safetensors").write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.safetensors"):
        decode(tmp_path / "bad.safetensors")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        decode(tmp_path / "none.safetensors")
