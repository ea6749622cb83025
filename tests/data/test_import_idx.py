"""IDX files, as MNIST comes in, by name or by their first bytes, plain or gzipped."""

import gzip
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest

from hpcjobs.data.importing import ImportOptions, import_table
from hpcjobs.errors import DataError

CODES = {"u1": 8, "i1": 9, ">i2": 11, ">i4": 12, ">f4": 13, ">f8": 14}


def save(path: Path, array: np.ndarray, kind: str = "u1") -> Path:
    """`array` as IDX, packed by hand."""
    content = struct.pack(f">BBBB{array.ndim}I", 0, 0, CODES[kind], array.ndim, *array.shape)
    content += array.astype(kind).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


X = np.random.default_rng(1).integers(0, 128, (50, 4, 3))


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "t10k.idx3-ubyte.gz", "a.idx", "a.idx.gz", "plain"])
def test_images_and_labels_come_in(tmp_path: Path, name: str) -> None:
    labels = save(tmp_path / "train-labels-idx1-ubyte.gz", np.arange(50) % 10)
    source = save(tmp_path / name, X)
    import_table(str(source), tmp_path / "a.h5", ImportOptions(labels=str(labels)))
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["data/x"].dtype == np.uint8
        np.testing.assert_array_equal(file["data/x"][..., 0], X)
        np.testing.assert_array_equal(file["data/y"], np.arange(50) % 10)


@pytest.mark.parametrize("kind", CODES)
def test_tables_of_every_type_keep_their_values(tmp_path: Path, kind: str) -> None:
    source = save(tmp_path / "a.idx", X[:, :, 0], kind)
    report = import_table(str(source), tmp_path / "a.h5")
    assert report.row_shape == (4,)
    with h5py.File(report.out) as file:
        np.testing.assert_array_equal(file["data/x"], X[:, :, 0])


def test_files_that_are_not_whole_or_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    source, out = save(tmp_path / "a.idx", X), tmp_path / "a.h5"
    labels = save(tmp_path / "l.idx", np.arange(49))
    with pytest.raises(DataError, match=r"--labels .*l.idx: 49 labels for 50 rows"):
        import_table(str(source), out, ImportOptions(labels=str(labels)))
    with pytest.raises(DataError, match=r"none.idx: no such file"):
        import_table(str(source), out, ImportOptions(labels=str(tmp_path / "none.idx")))
    with pytest.raises(DataError, match=r"l.idx: has 1 axes \(49,\), expected 2 .rows x features. or 3"):
        import_table(str(labels), out)
    whole = source.read_bytes()
    for content, message in (
        (whole[:-1], "truncated or no IDX file"),
        (whole + b"1", "truncated or no IDX file"),
        (b"GIF8", "not an IDX file .it begins with 47 49 46 38."),
        (whole[:10], "has 3 axes"),
        (b"", "it begins with nothing"),
    ):
        source.write_bytes(content)
        with pytest.raises(DataError, match=message):
            import_table(str(source), out)
    packed = tmp_path / "a.idx.gz"
    for content in (gzip.compress(whole)[:-9], gzip.compress(whole[:-5]), gzip.compress(whole + b"1")):
        packed.write_bytes(content)
        with pytest.raises(DataError, match=r"a.idx.gz: (not a readable gzip|ends in row|goes on after)"):
            import_table(str(packed), out)
    assert not out.exists()
