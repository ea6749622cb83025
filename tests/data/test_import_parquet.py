"""Parquet columns mean what the columns of a text file mean, read by row group."""

import datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as arrow
import pytest
from pyarrow import parquet

from hpcjobs.data.importing import ImportOptions, ImportReport, import_table
from hpcjobs.errors import DataError, SettingsError

ROWS = 100
COLUMNS: dict[str, Any] = {
    "name": [f"é{row}" for row in range(ROWS)],
    "small": arrow.array([row % 200 for row in range(ROWS)], arrow.uint8()),
    "real": arrow.array([row / 3 if row % 7 else None for row in range(ROWS)], arrow.float64()),
    "count": arrow.array([row * 1000 if row % 5 else None for row in range(ROWS)], arrow.int64()),
    "flag": arrow.array([row % 2 == 0 for row in range(ROWS)]),
    "kind": arrow.array(["ab"[row % 2] if row % 9 else None for row in range(ROWS)]).dictionary_encode(),
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return save(tmp_path / "a.parquet", COLUMNS)


def save(path: Path, columns: dict[str, Any]) -> Path:
    parquet.write_table(arrow.table(columns), path, row_group_size=13)
    return path


def bring_in(source: Path, **options: Any) -> tuple[ImportReport, dict[str, np.ndarray]]:
    report = import_table(str(source), source.with_suffix(".h5"), ImportOptions(force=True, **options))
    with h5py.File(report.out) as file:
        return report, {name: file["data"][name][()] for name in file["data"]}


def test_features_ids_and_classes_come_in(source: Path) -> None:
    report, data = bring_in(source, id_column="name", target_column="kind")
    assert (report.dtype, report.identities, report.target, report.classes) == ("float64", "text", "class", 2)
    assert data["feature_name"].tolist() == [b"small", b"real", b"count", b"flag"]
    columns = [COLUMNS["small"].to_pylist(), COLUMNS["real"].to_pylist(), COLUMNS["count"].to_pylist()]
    expected = np.array([*columns, [row % 2 == 0 for row in range(ROWS)]], dtype=float).T
    np.testing.assert_array_equal(data["x"], expected)
    assert [name.decode() for name in data["id"]] == COLUMNS["name"]
    assert data["y"].tolist() == [-1 if row % 9 == 0 else row % 2 for row in range(ROWS)]
    assert data["class_name"].tolist() == [b"a", b"b"]


@pytest.mark.parametrize(
    ("columns", "dtype"), [(("small",), "uint8"), (("flag",), "uint8"), (("small", "flag"), "float64")]
)
def test_a_type_that_all_columns_have_is_kept(source: Path, columns: tuple[str, ...], dtype: str) -> None:
    assert bring_in(source, columns=columns)[0].dtype == dtype


def test_whole_numbers_are_ids_and_targets(source: Path) -> None:
    report, data = bring_in(source, id_column="small", target_column="flag", drop=("name", "kind"))
    assert (report.identities, report.target) == ("integer", "integer")
    assert data["id"].tolist() == list(range(ROWS))
    assert data["y"].tolist() == [row % 2 == 0 for row in range(ROWS)]
    _, data = bring_in(source, target_column="count", columns=("small",))
    np.testing.assert_array_equal(data["y"], np.array(COLUMNS["count"].to_pylist(), dtype=float))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "column 'name' holds string, where features are numbers. Name it with --id or --target, leave it out"),
        ({"id_column": "nam"}, "--id nam: no such column among the 6 of .*did you mean 'name'"),
        ({"id_column": "kind", "columns": ("small",)}, "column 'kind': 2 of the rows from 0 on have no id"),
        ({"id_column": "flag", "columns": ("small",)}, "column 'flag' holds bool; ids are whole numbers or text"),
        ({"columns": ("count",), "dtype": "uint8"}, "row 0, column 'count' holds nan, which uint8 cannot hold"),
        ({"columns": ("count",), "drop": ("count",)}, "--drop and --columns both name column 'count'"),
        ({"header": True}, "--header: only text sources"),
    ],
)
def test_what_does_not_fit_is_named(source: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises((DataError, SettingsError), match=message):
        bring_in(source, **options)


def test_numbers_that_would_change_are_refused(tmp_path: Path) -> None:
    for values in ([2**53 + 1, 5], [2**53 + 1, None]):
        source = save(tmp_path / "a.parquet", {"a": arrow.array(values, arrow.int64())})
        with pytest.raises(DataError, match=r"column 'a'.*9007199254740993"):
            bring_in(source)


def test_columns_of_other_kinds_are_refused_as_features_and_targets(tmp_path: Path) -> None:
    source = save(tmp_path / "a.parquet", {"day": [datetime.date(2020, 1, 1)], "a": [1.0]})
    with pytest.raises(DataError, match="column 'day' holds date32"):
        bring_in(source)
    with pytest.raises(DataError, match="a target is numbers or text"):
        bring_in(source, target_column="day")
    assert bring_in(source, drop=("day",))[0].columns == 1


def test_ids_that_stand_twice_are_refused(tmp_path: Path) -> None:
    source = save(tmp_path / "a.parquet", {"a": [1.0, 2.0], "n": ["x", "x"]})
    with pytest.raises(DataError, match="column 'n': rows 0 and 1: the id 'x' stands twice"):
        bring_in(source, id_column="n")


def test_damaged_and_empty_files_are_refused(source: Path) -> None:
    content = source.read_bytes()
    for harmed in (b"PAR1", content[:-20], content[:500] + bytes(200) + content[700:]):
        source.write_bytes(harmed)
        with pytest.raises(DataError, match=r"a.parquet: not a readable Parquet file"):
            bring_in(source, id_column="name", target_column="kind")
    parquet.write_table(arrow.table({"a": arrow.array([], arrow.float64())}), source)
    with pytest.raises(DataError, match="holds no rows"):
        bring_in(source)
