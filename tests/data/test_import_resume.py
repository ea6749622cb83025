"""An import that was killed goes on with the blocks it had written, and ends with the bytes of one that was not."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pictures
import pytest

from hpcjobs.data import imagetable, npy, parsing
from hpcjobs.data.importing import ImportOptions, import_table
from hpcjobs.data.inspect import verify_file
from hpcjobs.data.publish import unfinished
from hpcjobs.errors import DataError
from hpcjobs.parallel.communicator import Communicator, on_root

ROWS = 600

KILLED = """
import os, signal, sys
from pathlib import Path
import hpcjobs.data.importing as importing
from hpcjobs.data import npy, parsing
from hpcjobs.data.table import ImportOptions

npy.BLOCK_BYTES, parsing.ROWS_AT_A_TIME = 3200, 1000  # many blocks from little data

def progress(done, total):
    if done >= int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

importing.import_table(sys.argv[1], Path(sys.argv[2]), ImportOptions(header=False) if "csv" in sys.argv[1] else None,
                       progress)
"""


def killed(source: Path, out: Path, after: int) -> None:
    """Start an import in a process of its own that is killed after so much progress."""
    ended = subprocess.run([sys.executable, "-c", KILLED, source, out, str(after)], capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(ROWS):
        pictures.save_png(tmp_path / f"photos/{number:03}.png", pictures.pixels(number, 2, 2))
    return tmp_path / "photos"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The images that are decoded from now on."""
    found: list[str] = []
    decode = imagetable.decode

    def count(file: Any, page: int, where: str) -> Any:
        found.append(where.rpartition(" ")[2])
        return decode(file, page, where)

    monkeypatch.setattr(imagetable, "decode", count)
    return found


def rows(path: Path) -> np.ndarray:
    with h5py.File(path) as file:
        found: np.ndarray = file["data/x"][()]
        return found


def test_images_that_are_written_are_not_decoded_again(photos: Path, decoded: list[str], tmp_path: Path) -> None:
    out = tmp_path / "a.h5"
    killed(photos, out, after=400)
    assert not out.exists()
    import_table(str(photos), out)
    assert ROWS - 400 <= len(decoded) <= ROWS - 400 + 3  # 3 rows a block
    assert decoded[-1] == "599.png"
    np.testing.assert_array_equal(rows(out), [pictures.pixels(number, 2, 2) for number in range(ROWS)])
    verify_file(out)
    assert not out.read_bytes()[4096 : 2**20].strip(b"\0")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.h5", "photos"]


def test_text_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = tmp_path / "a.csv", tmp_path / "a.h5"
    source.write_text("".join(f"{row},{row * row}\n" for row in range(20_000)))
    size = source.stat().st_size
    killed(source, out, after=size + size // 2)
    lines = []
    original = parsing.Parser._block

    def count(self: Any, batch: Any, numeric: bool, bad: Any) -> Any:
        lines.append(len(batch) if numeric else 0)
        return original(self, batch, numeric, bad)

    monkeypatch.setattr(parsing.Parser, "_block", count)
    import_table(str(source), out, ImportOptions(header=False))
    assert 5_000 < sum(lines) < 20_000
    np.testing.assert_array_equal(rows(out), [[row, row * row] for row in range(20_000)])


@pytest.fixture
def stopped(photos: Path, tmp_path: Path, decoded: list[str]) -> Iterator[Callable[..., Path]]:
    """Import and stop by Ctrl-C after 300 rows; the unfinished file."""

    def stop(**options: Any) -> Path:
        def progress(done: int, total: int) -> None:
            if done == 300:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            import_table(str(photos), tmp_path / "a.h5", ImportOptions(**options), progress)
        decoded.clear()
        return unfinished(tmp_path / "a.h5")

    yield stop


def test_a_damaged_block_is_written_again(
    stopped: Callable[..., Path], decoded: list[str], photos: Path, tmp_path: Path
) -> None:
    left = stopped()
    content = bytearray(left.read_bytes())
    at = content.index(pictures.pixels(90, 2, 2).tobytes())
    content[at] ^= 1
    left.write_bytes(content)
    import_table(str(photos), tmp_path / "a.h5")
    assert decoded[:3] == ["090.png", "091.png", "092.png"]
    assert len(decoded) <= 3 + 303
    np.testing.assert_array_equal(rows(tmp_path / "a.h5"), [pictures.pixels(n, 2, 2) for n in range(ROWS)])


@pytest.mark.parametrize("other", ["options", "source", "a torn file"])
def test_what_another_import_left_is_not_used(
    stopped: Callable[..., Path], decoded: list[str], photos: Path, tmp_path: Path, other: str
) -> None:
    left = stopped()
    options = ImportOptions(channels="grey" if other == "options" else None)
    if other == "source":
        os.utime(photos / "000.png", (1, 1))
    if other == "a torn file":
        left.write_bytes(left.read_bytes()[:-10])
    import_table(str(photos), tmp_path / "a.h5", options)
    assert len(decoded) == ROWS
    assert not left.exists()


def test_a_file_that_another_process_is_writing_is_left_alone(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []

    def second(done: int, total: int) -> None:
        if done == 300 and not started:
            started.append(1)
            import_table(str(photos), tmp_path / "a.h5")

    import_table(str(photos), tmp_path / "a.h5", ImportOptions(force=True), second)
    np.testing.assert_array_equal(rows(tmp_path / "a.h5"), [pictures.pixels(n, 2, 2) for n in range(ROWS)])
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.h5", "photos"]


def test_a_mistake_leaves_nothing_behind(photos: Path, tmp_path: Path) -> None:
    (photos / "500.png").write_bytes((photos / "500.png").read_bytes()[:50])
    with pytest.raises(DataError):
        import_table(str(photos), tmp_path / "a.h5")
    assert [entry.name for entry in tmp_path.iterdir()] == ["photos"]


@pytest.mark.mpi(ranks=3)
def test_another_number_of_ranks_goes_on(
    communicator: Communicator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(communicator.bcast_object(tmp_path))
    source, out = folder / "a.npy", folder / "a.h5"
    x = np.arange(4 * 5000.0).reshape(5000, 4)
    on_root(communicator, lambda: np.save(source, x))
    on_root(communicator, lambda: killed(source, out, after=2500))
    read = []
    original = npy.streamed

    def count(*arguments: Any) -> Any:
        for block in original(*arguments):
            read.append(len(block))
            yield block

    monkeypatch.setattr(npy, "streamed", count)
    monkeypatch.setattr(npy, "BLOCK_BYTES", 3200)
    import_table(str(source), out, communicator=communicator)
    assert 2400 <= sum(communicator.allgather_object(sum(read))) <= 2600
    np.testing.assert_array_equal(rows(out), x)


def test_a_disk_too_small_is_told_before_any_work(
    photos: Path, tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = os.statvfs(tmp_path)
    fields = [*disk]
    fields[4] = 100  # f_bavail
    small = os.statvfs_result(fields)
    monkeypatch.setattr(os, "statvfs", lambda path: small)
    free = 100 * disk.f_frsize
    with pytest.raises(DataError, match=rf"a.h5: needs .* where .*{free} bytes.* are free on the disk of"):
        import_table(str(photos), tmp_path / "a.h5")
    assert not decoded
