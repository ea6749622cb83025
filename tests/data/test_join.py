"""Rows of several files with the same id become one row: as pandas joins them, the same on any ranks."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import h5py
import numpy as np
import pandas
import pytest
from clustering.threads_comm import on_ranks
from data.samples_made import peak, read

from hpcjobs.cli import dispatch
from hpcjobs.data import join as joining
from hpcjobs.data import samples
from hpcjobs.data.importing import ImportOptions, import_table
from hpcjobs.data.join import join
from hpcjobs.errors import UserError
from hpcjobs.jobs import _data_join, find
from hpcjobs.parallel.communicator import SerialCommunicator
from hpcjobs.runs.context import Context


def made(path: Path, ids: Any, width: int = 2, dtype: str = "f4", **columns: Any) -> str:
    """A file of another program, chunked, with its own columns; returns its path."""
    with h5py.File(path, "w") as file:
        draw = np.random.default_rng(len(ids) + width)
        file.create_dataset("data/x", data=(100 * draw.random((len(ids), width))).astype(dtype), chunks=(2, width))
        for name, values in {"id": ids, **columns}.items():
            file[f"data/{name}"] = np.array([v.encode() if isinstance(v, str) else v for v in values])
    return str(path)


def shuffled(count: int, seed: int, prefix: str = "s") -> list[str]:
    return [f"{prefix}{number}" for number in np.random.default_rng(seed).permutation(count)]


def frame(path: str) -> pandas.DataFrame:
    held = read(Path(path))
    return pandas.DataFrame(held["x"], index=held["id"])


@pytest.fixture
def three(tmp_path: Path) -> list[str]:
    """Rows of 40, 33 and 51 samples in other orders; 26 of the samples are in all files."""
    ids = ([*shuffled(40, 1)[:36], "a", "b", "c", "d"], shuffled(40, 2)[:33], shuffled(51, 3))
    weights = np.arange(33) / 8
    return [
        made(tmp_path / "a.h5", ids[0], 2),
        made(tmp_path / "b.h5", ids[1], 3, "u1", weight=weights),
        made(tmp_path / "c.h5", ids[2], 1),
    ]


def test_rows_are_those_that_pandas_joins(three: list[str], tmp_path: Path) -> None:
    report = join(three, tmp_path / "o.h5")
    a, b, c = (frame(path) for path in three)
    expected = pandas.concat([a, b, c], axis=1, join="inner")
    found = read(tmp_path / "o.h5")
    assert 0 < report.rows == len(expected) < 33
    order = [list(found["id"]).index(one) for one in expected.index]
    np.testing.assert_array_equal(found["x"][order], expected.to_numpy(np.float32))
    assert [one for one in a.index if one in set(found["id"])] == list(found["id"])  # the order of the first
    weights = dict(zip(read(Path(three[1]))["id"], np.arange(33) / 8, strict=True))
    assert found["weight"].tolist() == [weights[one] for one in found["id"]]
    assert found["feature_name"].tolist() == [b"a.0", b"a.1", b"b.0", b"b.1", b"b.2", b"c.0"]


@pytest.mark.parametrize("ranks", [2, 3, 4, 50])
def test_any_number_of_ranks_writes_the_same_file(three: list[str], tmp_path: Path, ranks: int) -> None:
    join(three, tmp_path / "one.h5")
    on_ranks(ranks, lambda comm: join(three, tmp_path / "many.h5", communicator=comm))
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "many.h5").read_bytes()


def test_rows_without_a_partner_are_counted_on_each_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    made(tmp_path / "a.h5", range(10))
    made(tmp_path / "b.h5", range(4, 12), 3)
    assert dispatch(["data", "join", "a.h5", "b.h5", "o.h5"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "o.h5: 6 rows x 5 columns of float32 (2 of a.h5, 3 of b.h5)",
        "4 of 10 rows of a.h5 have no partner in b.h5",
        "2 of 8 rows of b.h5 have no partner in a.h5",
    ]
    with h5py.File("o.h5") as file:
        assert file.attrs["source"] == b"hpcjobs data join a.h5 b.h5"
        assert file["provenance/source_file"][()].tolist() == [b"a.h5:/data/x", b"b.h5:/data/x"]
        assert file["provenance/source_rows"][()].tolist() == [10, 8]
    assert dispatch(["data", "verify", "o.h5"]) == 0


def imported(folder: Path, name: str, lines: str) -> str:
    (folder / f"{name}.csv").write_text(lines)
    import_table(f"{folder}/{name}.csv", folder / f"{name}.h5", ImportOptions(id_column="who", target_column="kind"))
    return f"{folder}/{name}.h5"


def test_classes_go_along_with_their_names_where_files_agree_by_name(tmp_path: Path) -> None:
    first = imported(tmp_path, "a", "who,age,kind\nann,41,dog\nbob,38,cat\ncem,52,dog\n")
    other = imported(
        tmp_path, "b", "who,size,kind\ncem,7,dog\nann,9,dog\ndia,9,ant\n"
    )  # dog is class 1 here too, of ant
    report = join([first, other], tmp_path / "o.h5")
    found = read(tmp_path / "o.h5")
    assert found["id"].tolist() == [b"ann", b"cem"] and found["x"].tolist() == [[41, 9], [52, 7]]
    assert [found["class_name"][number] for number in found["y"]] == [b"dog", b"dog"]
    assert found["feature_name"].tolist() == [b"a.age", b"b.size"]
    assert report.left_out == (f"y of {other}",)


def test_two_files_that_label_a_sample_differently_are_refused(tmp_path: Path) -> None:
    first = imported(tmp_path, "a", "who,age,kind\nann,41,dog\nbob,38,cat\n")
    other = imported(tmp_path, "b", "who,size,kind\nbob,7,dog\nann,9,dog\n")
    with pytest.raises(UserError, match=r"b\.h5: y of id bob is dog, and cat in .*a\.h5 \(1 of 2 rows"):
        join([first, other], tmp_path / "o.h5")
    assert not (tmp_path / "o.h5").exists()


def test_rows_joined_by_their_numbers_are_told_to_be_so(tmp_path: Path) -> None:
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", np.ones((3, 2)))
        import_table(f"{tmp_path}/{name}.npy", tmp_path / f"{name}.h5")
    report = join([f"{tmp_path}/a.h5", f"{tmp_path}/b.h5"], tmp_path / "o.h5")
    assert "ids are row numbers" in str(report)


def test_more_than_a_block_is_never_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "BLOCK_BYTES", 2**16)
    monkeypatch.setattr(samples, "BLOCK_BYTES", 2**16)
    ids = np.random.default_rng(0).permutation(1500)
    sources = [made(tmp_path / "a.h5", np.arange(1500), 900, "f8"), made(tmp_path / "b.h5", ids, 900, "f8")]
    assert peak(lambda: join(sources, tmp_path / "o.h5")) < 4e6 < 2 * 1500 * 900 * 8 / 5


def test_values_that_the_common_type_cannot_hold_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "big.h5", "w") as file:
        file["data/x"], file["data/id"] = np.array([[2**53], [2**53 + 1]]), [0, 1]
    sources = [made(tmp_path / "a.h5", range(2)), str(tmp_path / "big.h5")]
    with pytest.raises(UserError, match=r"big\.h5: holds 9007199254740993, which float64"):
        join(sources, tmp_path / "o.h5")


def test_a_job_joins_what_the_command_names(three: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hpcjobs.cli.data.join import request

    monkeypatch.chdir(tmp_path)
    settings = _data_join.Settings(**(request(["a.h5", "b.h5", "o.h5"]) | {"out": f"{tmp_path}/o.h5"}))
    assert settings.sources == three[:2]
    assert find("data join") is _data_join
    context = SimpleNamespace(communicator=SerialCommunicator(), publish_result=lambda told, variables: told)
    _data_join.check(settings)
    assert "have no partner" in _data_join.run(settings, cast(Context, context))
    with pytest.raises(UserError, match="exists already"):
        _data_join.check(settings)


@pytest.mark.parametrize(
    ("first", "other", "words"),
    [
        ({"ids": ["a", "b", "a"]}, {}, ["a.h5: rows 0 and 2", "'a' stands twice"]),
        ({"ids": ["x1", "x2", "x3"]}, {"ids": ["y1", "y2"]}, ["no row has a partner", "x1, x2", "y1, y2"]),
        ({"ids": ["a", "b"]}, {"ids": [1, 2]}, ["a.h5 has texts", "b.h5 has numbers"]),
        ({"ids": np.array([2**63, 1], dtype=np.uint64)}, {"ids": [1, 2]}, ["a.h5", "9223372036854775808", "63 bits"]),
    ],
)
def test_ids_that_join_nothing_are_named(
    tmp_path: Path, first: dict[str, Any], other: dict[str, Any], words: list[str]
) -> None:
    sources = [made(tmp_path / "a.h5", **first), made(tmp_path / "b.h5", **{"ids": ["a", "b"], **other})]
    with pytest.raises(UserError) as found:
        join(sources, tmp_path / "o.h5")
    assert all(word in str(found.value) for word in words), found.value
    assert not (tmp_path / "o.h5").exists()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["a.h5", "o.h5"], ["at least two"]),
        (["a.h5", "a.h5", "o.h5"], ["a.h5: is named twice"]),
        (["a.h5", "b.h5", "b.h5"], ["b.h5: is one of the sources"]),
        (["a.h5", "bare.h5:/x", "o.h5"], ["bare.h5", "no ids", "data import"]),
        (["a.h5", "bare.h5:/t/word", "o.h5"], ["bare.h5:/t/word", "no rows of numbers"]),
        (["a.h5", "none.h5", "o.h5"], ["none.h5", "no such file"]),
        (["a.h5"], ["OUT.h5"]),
    ],
)
def test_mistakes_are_found_before_any_row_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argv: list[str], words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    made(tmp_path / "a.h5", range(3))
    made(tmp_path / "b.h5", range(3))
    with h5py.File("bare.h5", "w") as file:
        file["x"], file["t/word"], file["t/id"] = np.ones((3, 2)), np.array([b"a"] * 3), range(3)
    with pytest.raises(UserError) as found:
        dispatch(["data", "join", *argv])
    assert all(word in str(found.value) for word in words), found.value


def test_data_that_are_named_twice_lead_to_the_join() -> None:
    for verb in ("run", "submit"):
        with pytest.raises(UserError, match=r"--data is given twice.*hpcjobs data join"):
            dispatch([verb, "kmeans", "--data", "a.h5", "--data=b.h5", "--clusters", "2"])
