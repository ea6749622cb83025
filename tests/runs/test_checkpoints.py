"""Checkpoints: what is saved is what is loaded; the newest whole one counts; history has no row twice."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from command import hpcjobs, story

from hpcjobs.data.writing import write_file
from hpcjobs.runs import checkpoint
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.history import History

STATE = {
    "centres": np.arange(6.0).reshape(3, 2) / 7,
    "count": np.array(5),
    "name": np.array([1, 2], dtype=np.uint8),
}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    (tmp_path / "checkpoints").mkdir()
    return RunFolder(tmp_path)


def save(folder: RunFolder, step: int, history: History) -> Path:
    path = folder.checkpoint(step)
    write_file(path, checkpoint.contents("test", "uuid", step, STATE, history, {}))
    return path


def test_state_and_history_come_back_bit_for_bit(folder: RunFolder) -> None:
    history = History()
    history.log(3, inertia=1 / 3, shift=0.1)
    history.log(7, inertia=np.nextafter(0, 1), shift=-0.0)
    saved = checkpoint.load(save(folder, 7, history))
    assert (saved.step, saved.run_uuid) == (7, "uuid")
    assert saved.state.keys() == STATE.keys()
    for name, array in STATE.items():
        assert saved.state[name].dtype == array.dtype
        np.testing.assert_array_equal(saved.state[name], array)
    assert (saved.history.steps, saved.history.columns) == (history.steps, history.columns)


def test_the_newest_whole_checkpoint_counts(folder: RunFolder) -> None:
    paths = [save(folder, step, History()) for step in (5, 10, 100)]
    damaged = bytearray(paths[2].read_bytes())
    damaged[2**20 + 100] ^= 1
    paths[2].write_bytes(damaged)
    folder.checkpoint(11).with_name(".step-000000000011.h5.0000.tmp").write_bytes(b"half")
    with h5py.File(folder.checkpoint(50), "w"):
        pass  # another program's file, without a record
    newest, warnings = checkpoint.newest(folder)
    assert newest == paths[1]
    assert len(warnings) == 2
    assert all("damaged checkpoint" in warning for warning in warnings)


def test_the_newest_three_are_kept(folder: RunFolder) -> None:
    for step in (1, 2, 9, 10, 11):
        save(folder, step, History())
    checkpoint.prune(folder)
    assert sorted(path.name for path in folder.checkpoints.iterdir()) == [
        f"step-{step:012d}.h5" for step in (9, 10, 11)
    ]


def test_history_refuses_a_step_twice() -> None:
    history = History()
    history.log(1, value=0.0)
    with pytest.raises(ValueError, match="does not follow"):
        history.log(1, value=0.0)


def test_a_run_goes_on_from_an_older_checkpoint_when_the_newest_is_damaged(tmp_path: Path) -> None:
    hpcjobs(tmp_path, "data", "generate", "blobs", "b.h5", "--rows", 3000, "--columns", 5, "--centres", 9)
    loop = ("--clusters", 9, "--init", "random", "--tolerance", 0, "--checkpoint-every", 1)
    run = ("run", "kmeans", "--data", "b.h5", *loop, "--out", "a", "--max-iterations", 6)
    hpcjobs(tmp_path, *run)
    before = story(tmp_path, "a")
    newest = max((tmp_path / "a" / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:-1])
    (tmp_path / "a" / "result.h5").unlink()
    ended = hpcjobs(tmp_path, "resume", "a")
    assert "passing over a damaged checkpoint" in ended.stderr
    assert f"resuming after step {before['result']['iterations'] - 1}" in ended.stderr
    after = story(tmp_path, "a")
    assert (after["digest"], after["history"]) == (before["digest"], before["history"])
