"""Bad rows are named by line, counted, refused or skipped; nothing is changed silently on the way in."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from hpcjobs.data.importing import ImportOptions, ImportReport, import_table
from hpcjobs.data.parsing import ROWS_AT_A_TIME
from hpcjobs.errors import DataError


def bring_in(folder: Path, content: str | bytes, **options: object) -> ImportReport:
    path = folder / "a.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return import_table(str(path), folder / "out.h5", ImportOptions(**options))


def x_and_id(folder: Path) -> tuple[list[list[float]], list[int]]:
    with h5py.File(folder / "out.h5") as file:
        return file["data/x"][:].tolist(), file["data/id"][:].tolist()


BAD = 'p,q\n1,2\n3,four\n5\n6,7\n"8\n",9,10\n11,12\n'


def test_bad_rows_are_refused_all_together_with_their_lines(tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        bring_in(tmp_path, BAD)
    assert str(refused.value) == (
        f"{tmp_path}/a.csv: 3 bad rows: line 3: column 'q' holds 'four', expected a number; "
        "line 4: found 1 fields, expected 2; line 6: found 3 fields, expected 2. "
        "Mend them, or leave them out with --bad-rows skip"
    )
    assert not (tmp_path / "out.h5").exists()


def test_skipped_rows_are_counted_and_the_others_keep_their_number_in_the_source(tmp_path: Path) -> None:
    report = bring_in(tmp_path, BAD, bad_rows="skip")
    assert (report.rows, report.skipped) == (3, 3)
    assert x_and_id(tmp_path) == ([[1, 2], [6, 7], [11, 12]], [0, 3, 5])
    assert str(report).endswith("3 bad rows skipped")


def test_of_many_bad_rows_the_first_five_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"40 bad rows: line 2: .*; line 6: [^;]*; \.\.\.\. Mend"):
        bring_in(tmp_path, "p,q\n" + "1\n" * 40 + "1,2\n")


@pytest.mark.parametrize("bad_rows", ["refuse", "skip"])
def test_a_column_of_text_is_no_feature(tmp_path: Path, bad_rows: str) -> None:
    with pytest.raises(DataError, match=r"text in 1 of 2 columns \('q'\), e.g. 'red' in line 2.*--id or --target"):
        bring_in(tmp_path, "p,q\n1,red\n2,red\n3,4\n", bad_rows=bad_rows)


def test_one_bad_row_in_a_short_last_block_is_still_one_bad_row(tmp_path: Path) -> None:
    content = "p,q\n" + "1,2\n" * ROWS_AT_A_TIME + "3,four\n"
    with pytest.raises(DataError, match=f"1 bad row: line {ROWS_AT_A_TIME + 2}: column 'q' holds 'four'"):
        bring_in(tmp_path, content)
    report = bring_in(tmp_path, content, bad_rows="skip")
    assert (report.rows, report.skipped) == (ROWS_AT_A_TIME, 1)


def test_a_wrong_delimiter_is_guessed_from_the_single_column(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="If ',' does not separate the fields, say --delimiter"):
        bring_in(tmp_path, "1;2;x\n3;4;y\n")


@pytest.mark.parametrize(
    ("dtype", "field", "why"),
    [
        ("uint8", "256", "256, not a uint8 value"),
        ("uint8", "-1", "-1, not a uint8 value"),
        ("uint8", "1.5", "1.5, not a uint8 value"),
        ("uint8", "", "nan, not a uint8 value"),
        ("float32", "1e39", "1e\\+39, not a float32 value"),
        ("float32", "-4e38", "-4e\\+38, not a float32 value"),
    ],
)
def test_numbers_that_the_type_cannot_hold_are_bad_rows(tmp_path: Path, dtype: str, field: str, why: str) -> None:
    content = f"p,q\n1,2\n3,{field}\n255,0\n"
    with pytest.raises(DataError, match=f"1 bad row: line 3: column 'q' holds {why}"):
        bring_in(tmp_path, content, dtype=dtype)
    assert bring_in(tmp_path, content, dtype=dtype, bad_rows="skip").skipped == 1
    assert x_and_id(tmp_path) == ([[1, 2], [255, 0]], [0, 2])


def test_float32_keeps_gaps_and_infinities_and_rounds_to_nearest(tmp_path: Path) -> None:
    bring_in(tmp_path, "p,q,r\n0.1,,-inf\n16777217,NA,inf\n", dtype="float32")
    with h5py.File(tmp_path / "out.h5") as file:
        found = file["data/x"][:]
    expected = np.array([[0.1, np.nan, -np.inf], [16777217, np.nan, np.inf]]).astype("f4")
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("field", ["1_000", "١٢", "0x10", "1,5", "1 2", "--1", "1e", "true", "None"])
def test_what_only_python_or_another_culture_reads_as_a_number_is_text(tmp_path: Path, field: str) -> None:
    with pytest.raises(DataError, match="1 bad row: line 4: column 'q' holds"):
        bring_in(tmp_path, f'p,q\n1,2\n1,2\n3,"{field}"\n')


def test_an_id_that_stands_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    content = "name,x\na,1\nb,2\n\na,3\nb,4\n"
    with pytest.raises(DataError, match=r"a.csv: lines 2, 5: the id 'a' stands twice \(2 repeats in all\)"):
        bring_in(tmp_path, content, id_column="name")
    with pytest.raises(DataError, match="lines 2, 3: the id '7' stands twice"):
        bring_in(tmp_path, "name,x\n7,1\n7,2\n", id_column="name")


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("name,x\n,1\nb,2\nc,3\n", {"id_column": "name"}, "line 2: column 'name' holds no id"),
        (
            f"name,x\n{'a' * 257},1\nb,2\n",
            {"id_column": "name"},
            "line 2: its id is 257 bytes long; at most 256",
        ),
        (f"t,x\n{'a' * 257},1\nb,2\n", {"target_column": "t"}, "line 2: its target is 257 bytes long"),
        (
            b"name,x\nb,2\n\xe9,3\n",
            {"id_column": "name"},
            "line 3: its id is not UTF-8 text; save the file as",
        ),
        (b"\xe9,x\n1,2\n", {}, "the header of column 0 is not UTF-8 text"),
        ('p,q\n1,2\n3,"4\n5,6\n', {}, "line 3: broken quoting or a giant field"),
        ("", {}, "holds no rows"),
        ("\n\n", {}, "holds no rows"),
        ("p,q\n", {}, "holds no good row of data after its header"),
        ("name\na\nb\n", {"id_column": "name"}, "of its 1 columns none is left for the features"),
        ("p,q\n1,2\n".encode("utf-16"), {}, "not UTF-8 text"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(
    tmp_path: Path, content: str | bytes, options: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError, match=message) as refused:
        bring_in(tmp_path, content, **options)
    assert f"{tmp_path}/a.csv" in str(refused.value)
    assert not (tmp_path / "out.h5").exists()
