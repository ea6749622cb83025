"""CSV, TSV and text tables come in as they are written: headers, quotes, gaps, ids, targets."""

import csv
import gzip
from pathlib import Path

import h5py
import numpy as np
import pandas
import pytest

from hpcjobs.data.importing import ImportOptions, ImportReport, import_table
from hpcjobs.data.inspect import verify_file
from hpcjobs.errors import DataError, SettingsError


def brought_in(path: Path, content: str | bytes, **options: object) -> tuple[ImportReport, dict[str, np.ndarray]]:
    """Write `content`, import it, and read `/data` with plain h5py."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    report = import_table(str(path), path.with_name("out.h5"), ImportOptions(**options))
    verify_file(report.out)
    with h5py.File(report.out) as file:
        return report, {
            name: item.asstr()[()] if item.dtype.kind == "S" else item[()] for name, item in file["data"].items()
        }


FORMS = {
    "comma": ("a.csv", "p,q,r\n1,2,3\n4,5,6\n"),
    "no header": ("a.csv", "1,2,3\n4,5,6\n"),
    "no newline at the end": ("a.csv", "p,q,r\n1,2,3\n4,5,6"),
    "carriage returns": ("a.csv", "p,q,r\r\n1,2,3\r\n4,5,6\r\n"),
    "old Macintosh": ("a.csv", "p,q,r\r1,2,3\r4,5,6\r"),
    "byte order mark": ("a.csv", "\ufeffp,q,r\n1,2,3\n4,5,6\n"),
    "quotes": ("a.csv", '"p","q","r"\n"1",2,"3"\n4,"5",6\n'),
    "blank lines": ("a.csv", "\np,q,r\n\n1,2,3\n\n\n4,5,6\n\n"),
    "blanks around": ("a.csv", "p, q ,r\n 1, 2 ,3\n4 ,5, 6\n"),
    "tabs": ("a.tsv", "p\tq\tr\n1\t2\t3\n4\t5\t6\n"),
    "tabs in .txt": ("a.txt", "p\tq\tr\n1\t2\t3\n4\t5\t6\n"),
    "blanks in .txt": ("a.txt", "1 2 3\n4 5 6\n"),
    "columns of blanks in .txt": ("a.txt", "  1   2 3\n  4   5 6\n"),
    "semicolons in .txt": ("a.TXT", "p;q;r\n1;2;3\n4;5;6\n"),
    "gzip": ("a.csv.gz", gzip.compress(b"p,q,r\n1,2,3\n4,5,6\n")),
    "two gzip members": ("a.tsv.gz", gzip.compress(b"p\tq\tr\n1\t2\t3\n") + gzip.compress(b"4\t5\t6\n")),
    "exponents": ("a.csv", "p,q,r\n1e0,+2.,.3e1\n4.00,5E+0,60e-1\n"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_numbers(tmp_path: Path, form: str) -> None:
    name, content = FORMS[form]
    report, found = brought_in(tmp_path / name, content)
    np.testing.assert_array_equal(found["x"], [[1, 2, 3], [4, 5, 6]])
    assert found["id"].tolist() == [0, 1]
    assert (report.rows, report.columns, report.dtype, report.identities) == (2, 3, "float64", "row number")
    named = form not in ("no header", "blanks in .txt", "columns of blanks in .txt")
    assert found.get("feature_name", np.array([])).tolist() == (["p", "q", "r"] if named else [])


def test_a_table_written_by_pandas_comes_back_bit_by_bit(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    frame = pandas.DataFrame(random.normal(size=(5000, 6)) * 10.0 ** random.integers(-300, 300, (5000, 6)))
    frame.columns = [f"größe {column}, mm" for column in frame]
    frame.iloc[17, 3] = np.nan
    frame.iloc[18, 0] = np.inf
    frame.index = [f"tile/{row}" for row in range(5000)]
    frame["kind"] = random.choice(["maple", "oak", 'a "big" elm, old'], 5000)
    frame.to_csv(tmp_path / "a.csv", index_label="tile")
    content = (tmp_path / "a.csv").read_bytes()
    report, found = brought_in(tmp_path / "a.csv", content, id_column="tile", target_column="kind")
    np.testing.assert_array_equal(found["x"], frame.iloc[:, :6].to_numpy(dtype=float))
    assert found["id"].tolist() == frame.index.tolist()
    assert found["feature_name"].tolist() == list(frame.columns[:6])
    assert found["class_name"][found["y"]].tolist() == frame["kind"].tolist()
    assert found["class_name"].tolist() == sorted(set(frame["kind"]))
    assert str(report) == (f"{tmp_path}/out.h5: 5000 rows x 6 columns of float64, id: text, target: class (3 classes)")


@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t"])
def test_it_reads_what_the_csv_module_writes(tmp_path: Path, delimiter: str) -> None:
    rows = [["id", "a,b;c|d\te", 'say "x"', "line\nbreak"], ["n 1", "1", "2", "3"], ['n"2', "4", "5", "6"]]
    with (tmp_path / "w.csv").open("w", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    content = (tmp_path / "w.csv").read_bytes()
    _, found = brought_in(tmp_path / "a.csv", content, delimiter=delimiter, id_column="id")
    assert found["feature_name"].tolist() == rows[0][1:]
    assert found["id"].tolist() == ["n 1", 'n"2']
    np.testing.assert_array_equal(found["x"], [[1, 2, 3], [4, 5, 6]])


def test_gaps_in_the_first_row_of_data_do_not_make_it_a_header(tmp_path: Path) -> None:
    for first in ("1,,3", "1,NA,3", "1,nan,3", ",,", "NaN,NA,"):
        _, found = brought_in(tmp_path / "a.csv", f"{first}\n4,5,6\n", force=True)
        assert found["x"].shape == (2, 3), first
        assert np.isnan(found["x"][0, 1])


def test_a_blank_name_as_pandas_gives_its_index_is_part_of_a_header(tmp_path: Path) -> None:
    content = pandas.DataFrame({"p": [1.5, 2.5], "q": [3.5, 4.5]}).to_csv()
    _, found = brought_in(tmp_path / "a.csv", content, id_column="0", columns=("p", "q"))
    np.testing.assert_array_equal(found["x"], [[1.5, 3.5], [2.5, 4.5]])


def test_what_could_be_header_or_data_is_asked_for(tmp_path: Path) -> None:
    content = "5.1,3.5,setosa\n4.9,3.0,setosa\n"
    with pytest.raises(DataError, match="say --header yes if it names the columns, --header no if it is data"):
        brought_in(tmp_path / "a.csv", content, target_column="2")
    _, found = brought_in(tmp_path / "a.csv", content, target_column="2", header=False)
    assert found["x"].tolist() == [[5.1, 3.5], [4.9, 3.0]]
    _, found = brought_in(tmp_path / "a.csv", "1,2\n3,4\n", header=True, force=True)
    assert found["feature_name"].tolist() == ["1", "2"]
    assert found["x"].tolist() == [[3, 4]]


@pytest.mark.parametrize(
    ("fields", "expected", "kind"),
    [
        (["7", "8", "-9"], [7, 8, -9], "integer"),
        (["007", "8", "9"], ["007", "8", "9"], "text"),
        (["+7", "8", "9"], ["+7", "8", "9"], "text"),
        (["9223372036854775807", "-9223372036854775808", "0"], [2**63 - 1, -(2**63), 0], "integer"),
        (["9223372036854775808", "1", "2"], ["9223372036854775808", "1", "2"], "text"),
        ([" a ", "é", "漢"], ["a", "é", "漢"], "text"),
        (["1.0", "2.0", "3.0"], ["1.0", "2.0", "3.0"], "text"),
    ],
)
def test_ids_stay_as_they_are_written(tmp_path: Path, fields: list[str], expected: list[object], kind: str) -> None:
    content = "x,name\n" + "".join(f"{row},{field}\n" for row, field in enumerate(fields))
    report, found = brought_in(tmp_path / "a.csv", content, id_column="name")
    assert report.identities == kind
    assert found["id"].tolist() == expected


@pytest.mark.parametrize(
    ("fields", "kind", "expected"),
    [
        (["3", "-1", "3"], "integer", [3, -1, 3]),
        (["3", "0.5", ""], "number", [3, 0.5, np.nan]),
        (["3", "NA", "4"], "number", [3, np.nan, 4]),
        (["b", "a", "NA"], "class", [1, 0, -1]),
        (["1", "two", "1"], "class", [0, 1, 0]),
    ],
)
def test_the_kind_of_a_target_shows_in_its_fields(
    tmp_path: Path, fields: list[str], kind: str, expected: list[float]
) -> None:
    content = "x,t\n" + "".join(f"{row},{field}\n" for row, field in enumerate(fields))
    report, found = brought_in(tmp_path / "a.csv", content, target_column="t")
    assert report.target == kind
    np.testing.assert_array_equal(found["y"], expected)
    assert found["y"].dtype.name == {"integer": "int64", "number": "float64", "class": "int32"}[kind]


def test_columns_are_taken_in_the_order_asked_for_by_name_or_number(tmp_path: Path) -> None:
    content = "a,b,c,2\n1,2,3,4\n5,6,7,8\n"
    _, found = brought_in(tmp_path / "a.csv", content, columns=("c", "a", "2"))
    assert found["x"].tolist() == [[3, 1, 4], [7, 5, 8]]  # a column called 2 wins over number 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"id_column": "nam"}, "--id nam: no such column among the 3 of .*; did you mean 'name'"),
        ({"target_column": "9"}, "--target 9: no such column"),
        ({"columns": ("p", "p")}, "--columns names column 'p' of .* twice"),
        ({"columns": ("p",), "id_column": "p"}, "--columns and --id both name column 'p'"),
        ({"id_column": "p", "target_column": "0"}, "--id and --target both name column 'p'"),
        ({"dtype": "int8"}, "--dtype int8: expected one of float32, float64, uint8"),
        ({"bad_rows": "drop"}, "--bad-rows drop: expected refuse or skip"),
        ({"delimiter": ",,"}, "--delimiter ',,': expected one character"),
    ],
)
def test_options_that_fit_no_column_are_refused_by_name(
    tmp_path: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        brought_in(tmp_path / "a.csv", "p,q,name\n1,2,3\n", **options)
    assert not (tmp_path / "out.h5").exists()
