"""Export: every value of a result reads back exactly, with the id of its sample beside it."""

import csv
from pathlib import Path

import h5py
import numpy as np
import pytest
from pyarrow import parquet

from hpcjobs.data import export as module
from hpcjobs.data.export import export
from hpcjobs.data.schema import Contents, Variable, rows_of, text, texts
from hpcjobs.data.writing import write_file
from hpcjobs.errors import DataError, SettingsError

ROWS = 50


def held() -> dict[str, np.ndarray]:
    """What a result may say of each sample; numbers that show every careless conversion."""
    draw = np.random.default_rng(3)
    doubles = draw.normal(size=ROWS) * 10.0 ** draw.integers(-300, 300, size=ROWS)
    doubles[:4] = [np.nan, np.inf, -np.inf, -0.0]
    names = [f'tile {row}, "ä"\t' for row in range(ROWS)]
    return {
        "id": texts(names),
        "labels": np.arange(ROWS, dtype=np.int32) % 7 - 1,
        "large": np.arange(2**63 - ROWS, 2**63, dtype=np.uint64),
        "distance": doubles,
        "score": np.float32(0.1) * np.arange(ROWS, dtype=np.float32),
        "probability": draw.random((ROWS, 3)),
    }


@pytest.fixture
def result(tmp_path: Path) -> Path:
    variables = {
        f"/result/{name}": Variable(("id", "class")[: array.ndim], rows_of(array, ROWS, 0), name)
        for name, array in held().items()
    }
    variables["/result/maps"] = Variable(("id", "row", "column"), rows_of(np.ones((ROWS, 2, 2)), ROWS, 0), "maps")
    variables["/result/counts"] = Variable(("cluster",), np.ones(ROWS, int), "as many clusters as samples")
    variables["/result/inertia"] = Variable((), np.array(1.5), "a scalar")
    variables["/provenance/settings"] = Variable((), text("{}"), "settings")
    write_file(tmp_path / "result.h5", Contents("result", "t", variables, "kmeans"))
    return tmp_path / "result.h5"


HEADINGS = ["id", "distance", "labels", "large", "probability_0", "probability_1", "probability_2", "score"]


def columns() -> dict[str, np.ndarray]:
    """The columns that a table of the result has."""
    found = held()
    return {name: found[name[:11]][:, int(name[12])] if "_" in name else found[name] for name in HEADINGS}


@pytest.mark.parametrize(("suffix", "delimiter"), [("csv", ","), ("TSV", "\t")])
def test_every_number_and_text_reads_back_exactly(
    result: Path, tmp_path: Path, suffix: str, delimiter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 7)
    out = tmp_path / f"t.{suffix}"
    report = export(result, out)
    assert report.left_out == ("maps",)
    assert "left out, as they have more axes than a table: maps" in str(report)
    with out.open(encoding="utf-8", newline="") as file:
        heading, *rows = csv.reader(file, delimiter=delimiter)
    assert heading == HEADINGS
    assert len(rows) == ROWS
    for (name, expected), found in zip(columns().items(), zip(*rows, strict=True), strict=True):
        if name == "id":
            assert [value.encode() for value in found] == expected.tolist()
        else:
            convert = float if expected.dtype.kind == "f" else int
            back = np.array([convert(value) for value in found], dtype=expected.dtype)
            assert back.tobytes() == expected.tobytes()


def test_a_float32_reads_back_as_the_same_double(result: Path, tmp_path: Path) -> None:
    export(result, tmp_path / "t.csv", ["score"])
    lines = (tmp_path / "t.csv").read_text().splitlines()[1:]
    found = np.array([float(line.rpartition(",")[2]) for line in lines])
    np.testing.assert_array_equal(found, held()["score"].astype(np.float64))


def test_parquet_keeps_types_and_bits(result: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 7)
    export(result, tmp_path / "t.parquet")
    table = parquet.read_table(tmp_path / "t.parquet")
    assert table.column_names == HEADINGS
    for name, expected in columns().items():
        if name == "id":
            assert [value.encode() for value in table[name].to_pylist()] == expected.tolist()
        else:
            found = table[name].to_numpy()
            assert found.dtype == expected.dtype
            assert found.tobytes() == expected.tobytes()


def test_named_data_sets_come_in_the_order_in_which_they_are_named(result: Path, tmp_path: Path) -> None:
    report = export(result, tmp_path / "t.csv", ["/result/score", "labels"])
    assert report.headings == ("id", "score", "labels")
    assert str(report) == f"{tmp_path}/t.csv: 50 rows of id, score, labels"


@pytest.mark.parametrize(
    ("out", "names", "message"),
    [
        ("t.xlsx", [], "unknown kind of table '.xlsx'; expected .csv, .tsv or .parquet"),
        ("there.csv", [], "exists already; name another file, or replace it with --force"),
        ("no/t.csv", [], "there is no folder"),
        ("t.csv", ["label"], "--dataset label: .* did you mean 'labels'?"),
        ("t.csv", ["counts"], "--dataset counts: .* known: "),
        ("t.csv", ["maps"], "--dataset maps: has 3 axes, more than a table"),
    ],
)
def test_what_cannot_be_exported_is_named(
    result: Path, tmp_path: Path, out: str, names: list[str], message: str
) -> None:
    (tmp_path / "there.csv").write_text("precious")
    before = sorted(tmp_path.iterdir())
    with pytest.raises((DataError, SettingsError), match=message):
        export(result, tmp_path / out, names)
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "there.csv").read_text() == "precious"


def test_results_without_samples_and_other_files_are_refused(tmp_path: Path) -> None:
    scalars = {"/result/inertia": Variable((), np.array(1.5), "a scalar")}
    write_file(tmp_path / "r.h5", Contents("result", "t", scalars, "qlearning"))
    with pytest.raises(DataError, match="the result of a qlearning job says nothing of single samples"):
        export(tmp_path / "r.h5", tmp_path / "t.csv")
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["result/id"] = np.arange(3)
    with pytest.raises(DataError, match=r"not the result of a run; `hpcjobs data inspect .*f.h5` tells what it holds"):
        export(tmp_path / "f.h5", tmp_path / "t.csv")


def test_a_prediction_is_exported_likewise(tmp_path: Path) -> None:
    variables = {
        "/prediction/id": Variable(("id",), rows_of(texts("ab"), 2, 0), "id"),
        "/prediction/labels": Variable(("id",), rows_of(np.array([4, 2]), 2, 0), "labels"),
    }
    write_file(tmp_path / "p.h5", Contents("prediction", "t", variables, "kmeans"))
    export(tmp_path / "p.h5", tmp_path / "t.csv", ["/prediction/labels"])
    assert (tmp_path / "t.csv").read_text() == "id,labels\na,4\nb,2\n"


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    arrays = {"id": np.arange(3), "p": np.ones((3, 2)), "p_1": np.ones(3)}
    variables = {
        f"/result/{name}": Variable(("id", "class")[: array.ndim], rows_of(array, 3, 0), name)
        for name, array in arrays.items()
    }
    write_file(tmp_path / "r.h5", Contents("result", "t", variables, "kmeans"))
    with pytest.raises(DataError, match="two columns would be called p_1; pick one of them with --dataset"):
        export(tmp_path / "r.h5", tmp_path / "t.csv")


def test_a_missing_extra_is_named(result: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(SettingsError, match=r"Parquet needs pyarrow .*: pip install 'hpcjobs\[parquet\]'"):
        export(result, tmp_path / "t.parquet")
