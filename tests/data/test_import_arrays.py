"""Arrays come in as NumPy and h5py hold them: .npy, .npz, HDF5; nothing is unpickled or changed silently."""

from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pytest

from hpcjobs.data.importing import ImportOptions, ImportReport, import_table
from hpcjobs.errors import DataError, SettingsError

X = np.random.default_rng(2).integers(0, 200, size=(501, 5))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many blocks from little data."""
    for module in ("npy", "npz", "source"):
        monkeypatch.setattr(f"hpcjobs.data.{module}.BLOCK_BYTES", 1000)


def bring_in(source: str | Path, **options: Any) -> tuple[ImportReport, np.ndarray]:
    out = Path(str(source).split(":/")[0]).with_suffix(".out.h5")
    report = import_table(str(source), out, ImportOptions(force=True, **options))
    with h5py.File(out) as file:
        return report, file["data/x"][:]


def saved(folder: Path, array: np.ndarray) -> Path:
    np.save(folder / "a.npy", array, allow_pickle=True)
    return folder / "a.npy"


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    ("kind", "becomes"),
    [("<f4", "float32"), ("<f8", "float64"), (">f4", "float32"), (">f8", "float64"), ("<f2", "float32"),
     ("u1", "uint8"), ("?", "uint8"), ("<i4", "float64"), (">i8", "float64"), ("<u2", "float64")],
)  # fmt: skip
def test_npy_of_every_type_and_order_keeps_its_values(tmp_path: Path, kind: str, order: str, becomes: str) -> None:
    array = np.asarray(X % 2 if kind == "?" else X, dtype=kind, order=order)
    report, found = bring_in(saved(tmp_path, array))
    assert (report.dtype, report.rows, report.columns) == (becomes, 501, 5)
    assert found.dtype == becomes
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_one_array_of_an_npz_is_named_like_a_data_set(tmp_path: Path, save: Any, order: str) -> None:
    path = tmp_path / "a.npz"
    save(path, points=np.asarray(X / 3, order=order), labels=np.arange(3))
    _, found = bring_in(f"{path}:/points")
    np.testing.assert_array_equal(found, X / 3)
    with pytest.raises(DataError, match=f"holds 2 arrays; say which: {path}:/points, {path}:/labels"):
        bring_in(path)
    with pytest.raises(DataError, match="no array 'point' in it; did you mean 'points'"):
        bring_in(f"{path}:/point")
    with pytest.raises(DataError, match=r"a.npz:/labels: has 1 axes \(3,\) where 2 are needed"):
        bring_in(f"{path}:/labels")
    save(path, alone=X)
    np.testing.assert_array_equal(bring_in(path)[1], X)


def test_hdf5_brings_its_ids_of_numbers_or_text(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("a/x", data=X, compression="gzip")
        file["a/id"] = np.arange(501, dtype=">i4")[::-1]
        file["b/x"] = X.astype(">f4")
        file["b/id"] = np.array([f"é{row}".encode() for row in range(501)])
    for group, kind in (("a", "integer"), ("b", "text")):
        report, found = bring_in(f"{path}:/{group}/x")
        assert report.identities == kind
        np.testing.assert_array_equal(found, X)
        with h5py.File(report.out) as file, h5py.File(path) as source:
            assert file["data/id"][:].tolist() == source[group]["id"][:].tolist()
    with h5py.File(path, "a") as file:
        file["a/id"][7] = 0
    with pytest.raises(DataError, match=r"a.h5:/a/id: rows 7 and 500: the id '0' stands twice"):
        bring_in(f"{path}:/a/x")


def test_netcdf4_files_and_our_own_are_sources_too(tmp_path: Path) -> None:
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as file:
        file.createDimension("row", 501)
        file.createDimension("column", 5)
        file.createVariable("v", "f4", ("row", "column"), zlib=True)[:] = X
    report, found = bring_in(tmp_path / "a.nc")
    np.testing.assert_array_equal(found, X)
    again, found = bring_in(report.out)
    np.testing.assert_array_equal(found, X)
    assert again.identities == "integer"


def test_columns_are_taken_by_number(tmp_path: Path) -> None:
    _, found = bring_in(saved(tmp_path, X), columns=("4", "0"))
    np.testing.assert_array_equal(found, X[:, [4, 0]])
    for columns, message in (
        (("5",), "columns 0 to 4 and no names"),
        (("1", "01"), "names column 1 of .* twice"),
    ):
        with pytest.raises(SettingsError, match=message):
            bring_in(tmp_path / "a.npy", columns=columns)


@pytest.mark.parametrize(
    ("kind", "value", "dtype", "shown"),
    [
        ("i8", 2**53 + 1, None, "9007199254740993, which float64 cannot hold"),
        ("u8", 2**64 - 1, None, "18446744073709551615, which float64 cannot hold"),
        ("i8", 2**24 + 1, "float32", "16777217, which float32 cannot hold"),
        ("f8", 1e39, "float32", "1e\\+39, which float32 cannot hold"),
        ("f8", 0.5, "uint8", "0.5, which uint8 cannot hold"),
        ("i4", -1, "uint8", "-1, which uint8 cannot hold"),
        ("f4", np.nan, "uint8", "nan, which uint8 cannot hold"),
    ],
)
def test_a_value_that_would_change_is_refused_with_its_row(
    tmp_path: Path, kind: str, value: float, dtype: str | None, shown: str
) -> None:
    array = X.astype(kind)
    array[333, 2] = value
    with pytest.raises(DataError, match=f"a.npy: row 333 holds {shown}; choose another --dtype, or mend"):
        bring_in(saved(tmp_path, array), dtype=dtype)
    assert not (tmp_path / "a.out.h5").exists()


@pytest.mark.parametrize(("kind", "value"), [("i8", -(2**63)), ("i8", 2**62), ("u8", 2**63), ("i8", 2**53)])
def test_large_integers_that_are_floats_too_are_taken(tmp_path: Path, kind: str, value: int) -> None:
    array = np.array([[value, 1]], dtype=kind)
    _, found = bring_in(saved(tmp_path, array))
    assert int(found[0, 0]) == value
