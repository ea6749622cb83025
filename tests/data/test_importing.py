"""Import as a whole: what is refused before any work, what is told on the way, how little memory it takes."""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from hpcjobs.data.importing import ImportOptions, import_table
from hpcjobs.data.inspect import describe_file
from hpcjobs.errors import DataError, SettingsError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.csv"
    path.write_text("p,q\n1,2\n3,4\n")
    return path


def test_an_existing_file_is_replaced_only_by_force(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    out.write_bytes(b"precious")
    with pytest.raises(SettingsError, match=r"out.h5: exists already; name another file, or replace it with --force"):
        import_table(str(source), out)
    assert out.read_bytes() == b"precious"
    report = import_table(str(source), out, ImportOptions(force=True))
    assert describe_file(out)["file_digest"] == report.digest


def test_a_failed_import_by_force_keeps_the_old_file(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    out.write_bytes(b"precious")
    source.write_text("p,q\n1,2\n3,4\n5,x\n")
    with pytest.raises(DataError, match="1 bad row: line 4"):
        import_table(str(source), out, ImportOptions(force=True))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.csv", "out.h5"]
    assert out.read_bytes() == b"precious"


def test_places_where_nothing_can_be_written_are_refused_before_any_work(source: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is a folder; name the file to write"):
        import_table(str(source), tmp_path)
    with pytest.raises(SettingsError, match=r"there is no folder .*/no; make it first"):
        import_table(str(source), tmp_path / "no" / "out.h5")
    with pytest.raises(SettingsError, match="is the source itself"):
        import_table(str(source), source, ImportOptions(force=True))


def test_sources_that_are_no_readable_file_of_a_known_kind_are_refused(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    with pytest.raises(DataError, match=r"no such file .looked in "):
        import_table(str(tmp_path / "none.csv"), out)
    with pytest.raises(DataError, match=r"holds no images .*, and 1 other files"):
        import_table(str(tmp_path), out)
    (tmp_path / "a.xlsx").write_bytes(b"")
    with pytest.raises(DataError, match=r"unknown kind of file '.xlsx'; known: .csv, .tsv, .txt, .npy, .npz"):
        import_table(str(tmp_path / "a.xlsx"), out)
    with pytest.raises(DataError, match="holds one table without a name; leave `:/p` out"):
        import_table(f"{source}:/p", out)
    np.save(tmp_path / "a.npy", np.ones((2, 2)))
    for option in ({"id_column": "0"}, {"target_column": "0"}):
        with pytest.raises(SettingsError, match=r"only text sources .* have it"):
            import_table(str(tmp_path / "a.npy"), out, ImportOptions(**option))


def test_a_damaged_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(b"1,2\n")
    with pytest.raises(DataError, match=r"a.csv.gz: .*make it again"):
        import_table(str(path), tmp_path / "out.h5")


def test_a_source_that_changes_meanwhile_is_refused(source: Path, tmp_path: Path) -> None:
    def meddle(done: int, total: int) -> None:
        source.write_text("p,q\n1,2\n3,5\n")

    with pytest.raises(DataError, match=r"a.csv: changed while it was read; import it again"):
        import_table(str(source), tmp_path / "out.h5", progress=meddle)
    assert not (tmp_path / "out.h5").exists()


def test_rows_that_appear_meanwhile_are_refused(source: Path, tmp_path: Path) -> None:
    calls = []

    def meddle(done: int, total: int) -> None:
        calls.append(done)
        with source.open("a") as file:
            file.write("5,6\n" * 5)

    with pytest.raises(DataError, match="changed while it was read"):
        import_table(str(source), tmp_path / "out.h5", progress=meddle)
    assert calls


def test_progress_rises_to_its_total(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("name,p\n" + "".join(f"n{row},{row}\n" for row in range(30_000)))
    heard: list[tuple[int, int]] = []
    options = ImportOptions(target_column="name")
    import_table(str(path), tmp_path / "out.h5", options, lambda done, total: heard.append((done, total)))
    done = [at for at, _ in heard]
    assert done == sorted(done)
    assert heard[-1][0] == heard[-1][1] == 3 * path.stat().st_size
    assert len(heard) > 20


def test_the_file_says_what_it_came_from(source: Path, tmp_path: Path) -> None:
    report = import_table(str(source), tmp_path / "out.h5")
    told = describe_file(report.out)
    assert (told["kind"], told["source"], told["title"]) == ("input", "a.csv", "a.csv: 2 rows x 2 features")
    assert told["record"]


def test_a_source_whose_name_is_no_text_can_be_imported(tmp_path: Path) -> None:
    path = Path(os.fsdecode(bytes(tmp_path) + b"/m\xe4use.csv"))
    path.write_text("1,2\n3,4\n")
    report = import_table(str(path), tmp_path / "out.h5")
    assert describe_file(report.out)["source"] == "m?use.csv"


MEASURE = """
import resource, sys
from pathlib import Path
from hpcjobs.data.importing import ImportOptions, import_table
import_table(sys.argv[2], Path(sys.argv[4]))  # all is loaded once
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
report = import_table(sys.argv[1], Path(sys.argv[3]), ImportOptions(dtype="float32"))
print(report.rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.parametrize("form", ["csv", "npy"])
def test_memory_does_not_grow_with_the_source(tmp_path: Path, form: str) -> None:
    small, large = tmp_path / f"small.{form}", tmp_path / f"large.{form}"
    if form == "csv":
        lines = "".join(",".join(f"{row * 0.37 + column:.4f}" for column in range(8)) + "\n" for row in range(4096))
        small.write_text(lines)
        large.write_text(lines * 100)
        rows, megabytes = 409_600, 100  # one block of rows is 65536 lists of 8 strings: 40 MB
    else:
        np.save(small, np.ones((10, 64)))
        np.lib.format.open_memmap(large, "w+", "f8", (2**19, 64)).flush()
        rows, megabytes = 2**19, 100
    assert large.stat().st_size > 2**20 * (28 if form == "csv" else 250)
    command = [sys.executable, "-c", MEASURE, large, small, tmp_path / "large.h5", tmp_path / "small.h5"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found, grown = done.stdout.split()
    assert int(found) == rows
    assert float(grown) < megabytes
    with h5py.File(tmp_path / "large.h5") as file:
        assert file["data/x"].shape[0] == rows
