"""Columns that are dropped or replaced by pseudonyms leave no trace in the output."""

import hashlib
import hmac
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as arrow
import pytest
from pyarrow import parquet

from hpcjobs.data.importing import ImportOptions, import_table
from hpcjobs.errors import DataError, SettingsError

KEY = b"sixteen bytes ok"
NAMES = ["Meier", "O'Hara", "Łoś"]


@pytest.fixture
def key(tmp_path: Path) -> str:
    path = tmp_path / "key"
    path.write_bytes(KEY)
    path.chmod(0o600)
    return str(path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.csv"
    path.write_text("name,p,q,r\n" + "".join(f"{name},{row},2,3\n" for row, name in enumerate(NAMES)))
    return path


def ids(path: Path, source: Path, **options: Any) -> list[bytes]:
    import_table(str(source), path, ImportOptions(force=True, **options))
    with h5py.File(path) as file:
        found: list[bytes] = file["data/id"][:].tolist()
        return found


def expected(names: list[str]) -> list[bytes]:
    return [hmac.digest(KEY, name.encode(), hashlib.sha256).hex()[:32].encode() for name in names]


def test_ids_become_keyed_digests_that_join_over_sources(source: Path, key: str, tmp_path: Path) -> None:
    found = ids(tmp_path / "a.h5", source, id_column="name", pseudonymise="name", key=key)
    assert found == expected(NAMES)
    content = (tmp_path / "a.h5").read_bytes()
    assert not any(name.encode() in content for name in NAMES)
    assert KEY not in content
    table = tmp_path / "a.parquet"
    parquet.write_table(arrow.table({"name": NAMES[::-1], "p": [1.0, 2.0, 3.0]}), table)
    assert ids(tmp_path / "b.h5", table, id_column="name", pseudonymise="0", key=key) == found[::-1]
    with h5py.File(tmp_path / "c.hdf5", "w") as file:
        file["x"], file["id"] = np.ones((3, 2)), np.array([name.encode() for name in NAMES])
    assert ids(tmp_path / "c.h5", tmp_path / "c.hdf5", pseudonymise="id", key=key) == found


def test_whole_numbers_are_digested_as_they_are_written(tmp_path: Path, key: str) -> None:
    (tmp_path / "a.csv").write_text("1,2\n17,3\n")
    found = ids(tmp_path / "a.h5", tmp_path / "a.csv", id_column="0", pseudonymise="0", key=key)
    assert found == expected(["1", "17"])


@pytest.mark.parametrize(
    "content",
    [
        "name,p\nMeier,1\nMeier,2\n",
        "name,p\nMeier,x\n",
        "name,p\nMeier\n",
        "Meier,1\nSchmidt,2\n",
        "name,p\nMeier" + "x" * 300 + ",1\n",
    ],
)
def test_no_message_tells_a_name(tmp_path: Path, key: str, content: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(DataError) as told:
        ids(tmp_path / "a.h5", path, id_column="0", pseudonymise="0", key=key)
    assert "Meier" not in str(told.value)


def test_a_key_must_be_private_and_long(source: Path, key: str, tmp_path: Path) -> None:
    options = {"id_column": "name", "pseudonymise": "name"}
    for mode in (0o640, 0o604, 0o620):
        Path(key).chmod(mode)
        with pytest.raises(SettingsError, match=rf"others may read or change it .mode {mode:04o}.; run chmod"):
            ids(tmp_path / "a.h5", source, key=key, **options)
    Path(key).chmod(0o600)
    Path(key).write_bytes(KEY[:-1])
    with pytest.raises(SettingsError, match=r"15 bytes, expected at least 16; make one: .umask 077"):
        ids(tmp_path / "a.h5", source, key=key, **options)
    for wrong in (tmp_path / "none", tmp_path):
        with pytest.raises(SettingsError, match=r"--key .*(cannot be read|not a plain file)"):
            ids(tmp_path / "a.h5", source, key=str(wrong), **options)
    with pytest.raises(SettingsError, match="belong together"):
        ids(tmp_path / "a.h5", source, key=None, **options)
    Path(key).write_bytes(KEY)
    with pytest.raises(SettingsError, match="--pseudonymise p: only ids are replaced; name the column with --id too"):
        ids(tmp_path / "a.h5", source, key=key, pseudonymise="p")


def test_dropped_columns_are_not_in_the_file(source: Path, tmp_path: Path) -> None:
    import_table(str(source), tmp_path / "a.h5", ImportOptions(drop=("name", "2")))
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["data/feature_name"][:].tolist() == [b"p", b"r"]
        np.testing.assert_array_equal(file["data/x"], [[0, 3], [1, 3], [2, 3]])
    assert b"Meier" not in (tmp_path / "a.h5").read_bytes()
    np.save(tmp_path / "a.npy", np.arange(6).reshape(2, 3))
    report = import_table(str(tmp_path / "a.npy"), tmp_path / "b.h5", ImportOptions(drop=("1",)))
    with h5py.File(report.out) as file:
        assert file["data/x"][:].tolist() == [[0, 2], [3, 5]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drop": ("nam",)}, "--drop nam: no such column .*did you mean 'name'"),
        ({"drop": ("name",), "id_column": "name"}, "--drop and --id both name column 'name'"),
        ({"drop": ("p",), "columns": ("p",)}, "--drop and --columns both name column 'p'"),
        ({"drop": ("name", "p", "q", "r")}, "none is left for the features"),
    ],
)
def test_a_drop_that_makes_no_sense_is_refused(source: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises((SettingsError, DataError), match=message):
        import_table(str(source), source.with_suffix(".h5"), ImportOptions(**options))
