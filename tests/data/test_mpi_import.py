"""An import gives the same file, byte by byte, on any number of ranks, and one message on all of them."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import pictures
import pyarrow as arrow
import pytest
from pyarrow import parquet

from hpcjobs.data.importing import ImportOptions, import_table
from hpcjobs.errors import DataError
from hpcjobs.parallel.communicator import Communicator, on_root


class Clock:
    """A clock that stands."""

    @staticmethod
    def now(zone: object) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)


def sources(folder: Path) -> dict[str, ImportOptions]:
    """One source of every kind that ranks read in their own way."""
    pictures.classes(folder / "photos", count=5)
    pictures.archive(folder / "photos.tar", folder / "photos", "w")
    pictures.archive(folder / "photos.tar.gz", folder / "photos", "w:gz")
    x = np.random.default_rng(1).normal(size=(700, 3))
    np.save(folder / "a.npy", x)
    np.savez_compressed(folder / "f.npz", x=np.asfortranarray(x))
    (folder / "a.csv").write_text("".join(f"n{row},{row},{row % 3}\n" for row in range(200)))
    parquet.write_table(arrow.table({"a": x[:, 0], "n": [f"n{row}" for row in range(700)]}), folder / "a.parquet", 90)
    return {
        "photos": ImportOptions(size="4x4"),
        "photos.tar": ImportOptions(bad_rows="skip"),
        "photos.tar.gz": ImportOptions(),
        "a.npy": ImportOptions(dtype="float32"),
        "f.npz": ImportOptions(drop=("1",)),
        "a.csv": ImportOptions(header=False, id_column="0", target_column="2"),
        "a.parquet": ImportOptions(target_column="n"),
    }


@pytest.mark.mpi(ranks=(2, 5))
def test_every_kind_gives_the_file_of_one_rank(
    communicator: Communicator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpcjobs.data.layout.datetime", Clock)
    folder = Path(communicator.bcast_object(tmp_path))
    for name, options in on_root(communicator, lambda: sources(folder)).items():
        many = import_table(str(folder / name), folder / "many.h5", options, communicator=communicator)
        alone = on_root(communicator, partial(import_table, str(folder / name), folder / "one.h5", options))
        assert many.digest == alone.digest, name
        on_root(communicator, (folder / "many.h5").unlink)
        on_root(communicator, (folder / "one.h5").unlink)


@pytest.mark.mpi(ranks=4)
def test_a_damaged_image_ends_all_ranks_with_one_message(communicator: Communicator, tmp_path: Path) -> None:
    folder = Path(communicator.bcast_object(tmp_path))

    def make() -> None:
        pictures.classes(folder / "photos", count=5)
        (folder / "photos/dog/3.png").write_bytes((folder / "photos/dog/3.png").read_bytes()[:70])

    on_root(communicator, make)
    with pytest.raises(DataError, match=r"photos: dog/3.png: damaged"):
        import_table(str(folder / "photos"), folder / "a.h5", communicator=communicator)
    communicator.barrier()
    assert sorted(entry.name for entry in folder.iterdir()) == ["photos"]


@pytest.mark.mpi(ranks=4)
def test_more_ranks_than_images_work(communicator: Communicator, tmp_path: Path) -> None:
    folder = Path(communicator.bcast_object(tmp_path))
    on_root(communicator, lambda: pictures.classes(folder / "photos", count=1))
    report = import_table(str(folder / "photos"), folder / "a.h5", communicator=communicator)
    assert report.rows == 2
