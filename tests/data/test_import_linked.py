"""`--follow-links` reads what h5py reads, digests every file on the way, and never makes values up."""

import hashlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from hpcjobs.data.importing import ImportOptions, import_table
from hpcjobs.errors import DataError

X = np.random.default_rng(4).normal(size=(30, 4))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three parts of one table, ten rows each, in a folder of their own."""
    (tmp_path / "parts").mkdir()
    for part in range(3):
        with h5py.File(tmp_path / f"parts/{part}.h5", "w") as file:
            file["x"] = X[10 * part : 10 * part + 10]
            file["id"] = np.arange(10) + 10 * part
            file["group/soft"] = h5py.SoftLink("/x")
            file["group/near"] = h5py.SoftLink("soft")
    return tmp_path


def bring_in(source: str) -> tuple[np.ndarray, dict[str, str]]:
    out = Path(source.split(":/")[0]).parent / "out.h5"
    import_table(source, out, ImportOptions(follow_links=True, force=True))
    with h5py.File(out) as file:
        names = [name.decode() for name in file["provenance/source_file"]]
        digests = [digest.decode() for digest in file["provenance/source_sha256"]]
        return file["data/x"][()], dict(zip(names, digests, strict=True))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def virtual(path: Path, parts: list[tuple[slice, str, int]], rows: int = 30) -> None:
    layout = h5py.VirtualLayout((rows, 4), "f8")
    for place, name, length in parts:
        layout[place] = h5py.VirtualSource(name, "x", shape=(length, 4))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("x", layout, fillvalue=-7)


WHOLE = [(slice(10 * part, 10 * part + 10), f"parts/{part}.h5", 10) for part in range(3)]


def test_links_are_followed_one_after_another_and_ids_come_along(folder: Path) -> None:
    with h5py.File(folder / "a.h5", "w") as file:
        file["start"] = h5py.SoftLink("/there/near")
        file["there"] = h5py.ExternalLink("parts/1.h5", "/group")
    found, files = bring_in(f"{folder}/a.h5:/start")
    np.testing.assert_array_equal(found, X[10:20])
    assert files == {str(folder / name): sha256(folder / name) for name in ("a.h5", "parts/1.h5")}
    with h5py.File(folder / "out.h5") as file:
        assert file["data/id"][:].tolist() == list(range(10, 20))


@pytest.mark.parametrize("striped", [False, True])
def test_virtual_sets_are_gathered_from_sources_that_are_digested(folder: Path, striped: bool) -> None:
    parts = [(slice(part, 30, 3), f"parts/{part}.h5", 10) for part in range(3)] if striped else WHOLE
    virtual(folder / "a.h5", parts)
    found, files = bring_in(f"{folder}/a.h5")
    expected = X.reshape(3, 10, 4).swapaxes(0, 1).reshape(30, 4) if striped else X
    np.testing.assert_array_equal(found, expected)
    assert files == {
        str(folder / name): sha256(folder / name) for name in ("a.h5", *(f"parts/{n}.h5" for n in range(3)))
    }


@pytest.mark.parametrize("dtype", ["<f8", ">f4", "u1"])
def test_external_storage_is_read_relative_to_its_file(folder: Path, dtype: str) -> None:
    values = (X * 10).round().astype("i4").astype(dtype) if dtype != "u1" else np.arange(120, dtype="u1").reshape(30, 4)
    content = values.tobytes()
    (folder / "parts/1.raw").write_bytes(b"head" + content[:100])
    (folder / "parts/2.raw").write_bytes(content[100:])
    with h5py.File(folder / "a.h5", "w") as file:
        pieces = [("parts/1.raw", 4, 100), ("parts/2.raw", 0, h5py.h5f.UNLIMITED)]
        file.create_dataset("x", (30, 4), dtype, external=pieces)
    found, files = bring_in(f"{folder}/a.h5:/x")
    np.testing.assert_array_equal(found, values)
    assert set(files) == {str(folder / name) for name in ("a.h5", "parts/1.raw", "parts/2.raw")}
    (folder / "parts/2.raw").write_bytes(content[100:-1])
    with pytest.raises(DataError, match=r"2.raw end at \d+, where the file has \d+; make it whole"):
        bring_in(f"{folder}/a.h5:/x")
    (folder / "parts/1.raw").unlink()
    with pytest.raises(DataError, match=r"the external storage of /x leads to parts/1.raw, and there is no such file"):
        bring_in(f"{folder}/a.h5:/x")


def test_what_is_missing_is_never_made_up(folder: Path) -> None:
    source = f"{folder}/a.h5"
    virtual(folder / "a.h5", WHOLE[:2])
    with pytest.raises(DataError, match="40 of its values have no source and would be made up"):
        bring_in(source)
    virtual(folder / "a.h5", [*WHOLE, (slice(5, 15), "parts/1.h5", 10)])
    with pytest.raises(DataError, match="takes some values from two sources"):
        bring_in(source)
    virtual(folder / "a.h5", WHOLE)
    with h5py.File(folder / "parts/2.h5", "w") as file:
        file["x"] = X[:9]
    with pytest.raises(DataError, match=r"takes 40 values from .*2.h5:/x, of shape \(9, 4\): a part"):
        bring_in(source)
    (folder / "parts/2.h5").unlink()
    with pytest.raises(DataError, match=r"the virtual /x leads to parts/2.h5, and there is no such file"):
        bring_in(source)
    with h5py.File(folder / "b.h5", "w") as file:
        file["x"] = h5py.ExternalLink("gone.h5", "/x")
        file["y"] = h5py.ExternalLink("parts/0.h5", "/y")
    with pytest.raises(DataError, match=r"the external link /x leads to gone.h5, and there is no such file"):
        bring_in(f"{folder}/b.h5:/x")
    with pytest.raises(DataError, match=r"0.h5: no /y in this file"):
        bring_in(f"{folder}/b.h5:/y")


def test_virtual_sets_of_virtual_sets_are_looked_through(folder: Path) -> None:
    virtual(folder / "inner.h5", WHOLE)
    virtual(folder / "a.h5", [(slice(0, 30), "inner.h5", 30)])
    found, files = bring_in(f"{folder}/a.h5")
    np.testing.assert_array_equal(found, X)
    assert len(files) == 5
    (folder / "parts/1.h5").unlink()
    with pytest.raises(DataError, match=r"inner.h5: the virtual /x leads to parts/1.h5"):
        bring_in(f"{folder}/a.h5")


def test_circles_are_noticed(folder: Path) -> None:
    with h5py.File(folder / "a.h5", "w") as file:
        file["x"] = h5py.SoftLink("/y")
        file["y"] = h5py.ExternalLink("a.h5", "/x")
    with pytest.raises(DataError, match="more than 32 links on the way"):
        bring_in(f"{folder}/a.h5:/x")


def test_a_source_that_changes_meanwhile_is_refused(folder: Path) -> None:
    virtual(folder / "a.h5", WHOLE)

    def meddle(done: int, total: int) -> None:
        with (folder / "parts/1.h5").open("ab") as file:
            file.write(b" ")

    with pytest.raises(DataError, match="changed while it was read"):
        import_table(f"{folder}/a.h5", folder / "out.h5", ImportOptions(follow_links=True), meddle)


def test_without_the_flag_nothing_is_followed(folder: Path) -> None:
    virtual(folder / "a.h5", WHOLE)
    with pytest.raises(DataError, match="a virtual data set"):
        import_table(f"{folder}/a.h5", folder / "out.h5")
