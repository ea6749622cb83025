"""Arrays that are pickles, forgeries, fragments or no tables are refused; nothing in them is run."""

import io
import warnings
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from hpcjobs.data.importing import ImportOptions, import_table
from hpcjobs.errors import DataError


def bring_in(path: Path) -> np.ndarray:
    out = path.with_suffix(".out.h5")
    import_table(str(path), out, ImportOptions(force=True))
    with h5py.File(out) as file:
        values: np.ndarray = file["data/x"][:]
        return values


class Canary:
    """Unpickling it would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("form", ["npy", "npz"])
def test_pickles_are_refused_and_never_run(tmp_path: Path, form: str) -> None:
    array = np.array([[Canary(tmp_path / "ran")]], dtype=object)
    if form == "npz":
        np.savez(tmp_path / "a.npz", x=array)
    else:
        np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(DataError, match="holds pickled objects, which can run code"):
        bring_in(tmp_path / f"a.{form}")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.arange(5.0), r"has 1 axes \(5,\) where 2 are needed"),
        (np.zeros((2, 2, 2)), "has 3 axes"),
        (np.zeros((0, 3)), r"is empty, shape \(0, 3\)"),
        (np.array([[1j]]), "holds complex128, not numbers"),
        (np.array([["a"]]), "holds <U1, not numbers"),
        (np.zeros((2, 2), dtype="f4,i4"), "not numbers"),
        (np.zeros((2, 2), dtype=[("漢", "f4")]), "holds no plain numbers"),
        (np.zeros((2, 2), dtype="M8[s]"), "not numbers"),
    ],
)
def test_arrays_that_are_no_table_of_numbers_are_refused(tmp_path: Path, array: np.ndarray, message: str) -> None:
    with warnings.catch_warnings(action="ignore"):  # NumPy warns of names that are not ASCII
        path = tmp_path / "a.npy"
        np.save(path, array)
    with pytest.raises(DataError, match=message):
        bring_in(path)


def header(text: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        header(b""),
        header(b"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2)"),
        header(b"((((((((["),
        header(b"__import__('os').abort()"),
        header(b"{'descr': '<f8', 'fortran_order': False, 'shape': (-3, -2), }\n") + bytes(48),
        header(b"{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999999, 99999999999), }\n") + bytes(48),
        header(b"{'descr': '<f8', 'fortran_order': True, 'shape': (3, 2), }\n") + bytes(47),
        header(b"{'descr': 'nonsense', 'fortran_order': False, 'shape': (3, 2), }\n") + bytes(48),
        header(b"{'descr': '<f8', 'shape': (3, 2), }\n") + bytes(48),
        b"\x93NUMPY\x09\x00" + bytes(100),
    ],
)
@pytest.mark.parametrize("form", ["npy", "npz"])
def test_broken_and_forged_headers_are_refused(tmp_path: Path, content: bytes, form: str) -> None:
    path = tmp_path / f"a.{form}"
    if form == "npz":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", content)
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match=f"a.{form}"):
        bring_in(path)


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    values = np.random.default_rng(2).normal(size=(501, 5))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=values)
    whole = buffer.getvalue()
    random = np.random.default_rng(1)
    path = tmp_path / "a.npz"
    for position in random.integers(30, len(whole), 60):
        content = bytearray(whole)
        content[position] ^= 1 << int(random.integers(8))
        path.write_bytes(content)
        try:
            np.testing.assert_array_equal(bring_in(path), values)  # the flip met nothing that counts
        except DataError as error:
            assert "a.npz" in str(error)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"not a readable .npz file"):
        bring_in(path)
