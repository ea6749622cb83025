"""From Python: run, submit, attach, and what a handle tells."""

import os
from pathlib import Path

import numpy as np
import pytest
from command import hpcjobs as command

import hpcjobs
from hpcjobs.errors import RunFolderError, SettingsError
from hpcjobs.testing import FakeSlurm, fake_slurm

__all__ = ["fake_slurm"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    command(tmp_path, "data", "generate", "blobs", "b.h5", "--rows", 300, "--columns", 3, "--centres", 3)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_a_run_returns_the_arrays_of_its_result(folder: Path) -> None:
    run = hpcjobs.run("kmeans", {"data": "b.h5", "clusters": 3}, ranks=2, name="mine", tags=("a",))
    found = run.result()
    assert run.state == "done"
    assert run.folder.name.startswith("mine-")
    assert found["centres"].shape == (3, 3)
    assert np.array_equal(np.bincount(found["labels"]), found["counts"])
    assert run.wait() == 0
    assert hpcjobs.attach("last") == run


def test_a_submitted_run_is_the_same_wherever_it_is_attached(folder: Path, fake_slurm: FakeSlurm) -> None:
    job = hpcjobs.submit(
        "kmeans", {"data": "b.h5", "clusters": 3}, nodes=2, ntasks_per_node=2, time="00:05:00", out="s"
    )
    assert job.job_id
    assert job.wait(timeout=100) == 0
    assert hpcjobs.attach(folder / "s") == hpcjobs.attach(job.job_id) == job
    assert job.verdict().digest == hpcjobs.run("kmeans", {"data": "b.h5", "clusters": 3}).verdict().digest
    assert {"--nodes=2", "--ntasks-per-node=2", "--time=00:05:00"} <= set(fake_slurm.calls("sbatch")[0])


def test_waiting_ends_with_a_time_out_and_a_run_without_a_result_says_why(folder: Path, fake_slurm: FakeSlurm) -> None:
    job = hpcjobs.submit("kmeans", {"data": "b.h5", "clusters": 3}, sbatch_arg=["--hold"])
    with pytest.raises(TimeoutError):
        job.wait(timeout=0.1)
    with pytest.raises(hpcjobs.RunFailed, match="pending"):
        job.result()


def test_mistakes_are_raised_with_their_message(folder: Path) -> None:
    with pytest.raises(SettingsError, match="did you mean 'clusters'"):
        hpcjobs.run("kmeans", {"data": "b.h5", "clustres": 3})
    with pytest.raises(SettingsError, match="did you mean 'nodes'"):
        hpcjobs.submit("kmeans", {"data": "b.h5", "clusters": 3}, nods=2)
    with pytest.raises(RunFolderError, match="no such run"):
        hpcjobs.attach("nosuch")
