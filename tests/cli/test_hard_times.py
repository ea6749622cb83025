"""What users and machines do to runs: changed inputs, edited folders, lost terminals, closed streams, races."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from command import clean_environment, hpcjobs, refused, start, story, wait_until

from hpcjobs.__main__ import numba_cache
from hpcjobs.data.generate import generate_blobs
from hpcjobs.errors import RunFolderError
from hpcjobs.runs.index import find, remember

KMEANS = ("run", "kmeans", "--data", "b.h5", "--clusters", 3)
LONG = ("--clusters", 50, "--init", "random", "--tolerance", 0, "--max-iterations", 100_000, "--checkpoint-every", 5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generate_blobs(tmp_path / "b.h5", rows=2000, columns=4, centres=3, seed=0)
    return tmp_path


@pytest.fixture
def long_data(folder: Path) -> Path:
    generate_blobs(folder / "b.h5", rows=200_000, columns=12, centres=30, seed=0, spread=40, force=True)
    return folder


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("changed", ["x", "c"])
def test_a_foreign_file_that_changed_after_the_run_is_noticed(tmp_path: Path, changed: str) -> None:
    rows = np.random.default_rng(0).normal(size=(50, 3))
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["x"], file["c"] = rows, rows[:3]
    run = ("run", "kmeans", "--data", "f.h5:/x", "--clusters", 3, "--init", "f.h5:/c", "--out", "a")
    hpcjobs(tmp_path, *run)
    assert [entry["name"].rpartition(":")[2] for entry in story(tmp_path, "a")["inputs"]] == ["/x", "/c"]
    with h5py.File(tmp_path / "f.h5", "r+") as file:
        file[changed][0] = 5.0
    assert f"f.h5:/{changed} has changed" in refused(tmp_path, *run)


def test_a_foreign_file_that_was_only_touched_gives_the_same_result(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["x"] = np.random.default_rng(0).normal(size=(50, 3))
    run = ("run", "kmeans", "--data", "f.h5:/x", "--clusters", 3, "--out", "a")
    hpcjobs(tmp_path, *run)
    before = story(tmp_path, "a")["digest"]
    (tmp_path / "f.h5").touch()
    hpcjobs(tmp_path, *run)
    assert story(tmp_path, "a")["digest"] == before


def test_a_checkpoint_of_other_settings_is_not_resumed(folder: Path) -> None:
    hpcjobs(folder, *KMEANS, "--out", "a")
    (folder / "a" / "result.h5").unlink()
    wish = json.loads((folder / "a" / "settings.json").read_text())
    edit(folder / "a" / "settings.json", settings=wish["settings"] | {"seed": 5})
    assert "--seed: 0 -> 5" in refused(folder, "resume", "a")
    edit(folder / "a" / "settings.json", settings=wish["settings"], run_uuid="another")
    assert "it is of run" in refused(folder, "resume", "a")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{}", "damaged"),
        ("[1]", "damaged"),
        ("", "damaged"),
        ('{"job": "kmeans", "settings": {}, "run_uuid": "u"}', "damaged"),
        ('{"job": "kmeans", "settings": {"data": "b.h5", "clusters": 3, "news": 1}, "run_uuid": "u"}', "newer version"),
        ('{"job": "nothing", "settings": {}, "run_uuid": "u"}', "no job named 'nothing'"),
    ],
)
def test_damaged_or_newer_settings_are_named(folder: Path, content: str, words: str) -> None:
    (folder / "a").mkdir()
    (folder / "a" / "settings.json").write_text(content)
    assert words in refused(folder, "resume", "a")


@pytest.mark.parametrize("content", ["[1]", "3", '{"attempts": 5}', '{"attempts": [{}]}'])
def test_a_damaged_outcome_costs_nothing_but_its_story(folder: Path, content: str) -> None:
    hpcjobs(folder, *KMEANS, "--out", "a")
    (folder / "a" / "outcome.json").write_text(content)
    assert "already done" in hpcjobs(folder, "resume", "a").stderr
    assert story(folder, "a")["state"] == "done"


def test_show_passes_over_damaged_checkpoints(folder: Path) -> None:
    hpcjobs(folder, *KMEANS, "--out", "a")
    for path in ((folder / "a" / "result.h5"), *(folder / "a" / "checkpoints").iterdir()):
        path.write_bytes(path.read_bytes()[:-1])
    assert "remove it and resume" in refused(folder, "resume", "a")
    (folder / "a" / "result.h5").unlink()
    assert story(folder, "a")["kind"] == "run"
    hpcjobs(folder, "resume", "a")


def test_a_folder_that_a_killed_start_left_half_made_is_used(folder: Path) -> None:
    (folder / "a" / "checkpoints").mkdir(parents=True)
    (folder / "a" / ".settings.json.0123.tmp").write_text("{")
    hpcjobs(folder, *KMEANS, "--out", "a")


def test_a_terminal_that_is_gone_does_not_end_a_run(long_data: Path) -> None:
    process = start(long_data, *KMEANS, *LONG, "--out", "a", "-n", 2, env={"HPCJOBS_TERMINAL": "1"})
    assert process.stderr is not None
    assert process.stdout is not None
    process.stderr.close()
    wait_until(lambda: list((long_data / "a").glob("checkpoints/step-*.h5")), "a checkpoint")
    process.terminate()
    assert process.wait(30) == 75
    process.stdout.close()


def test_nohup_is_heeded(long_data: Path) -> None:
    words = [str(word) for word in (*KMEANS, *LONG, "--out", "a")]
    argv = ["nohup", sys.executable, "-m", "hpcjobs", *words]
    with subprocess.Popen(argv, cwd=long_data, env=clean_environment(long_data), stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: list((long_data / "a").glob("checkpoints/step-*.h5")), "a checkpoint")
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.terminate()
        assert process.wait(30) == 75


def test_a_refused_change_leaves_a_running_run_alone(long_data: Path) -> None:
    with start(long_data, *KMEANS, *LONG, "--out", "a") as process:
        wait_until((long_data / "a" / "lease").exists, "the lease")
        assert "in use by process" in refused(long_data, "resume", "a", "--max-iterations", 200_000)
        assert story(long_data, "a")["settings"]["max_iterations"] == 100_000
        process.kill()
    told = story(long_data, "a")
    assert told["state"] == told["attempts"][-1]["reason"] == "killed"


def test_of_two_starts_on_one_folder_each_gets_what_it_asked_for_or_is_refused(folder: Path) -> None:
    both = [start(folder, *KMEANS[:-1], clusters, "--out", "a") for clusters in (3, 4)]
    ends = [(process.communicate(timeout=60), process.returncode) for process in both]
    assert sorted(code for _, code in ends) == [0, 2], ends
    winner = 3 if ends[0][1] == 0 else 4
    assert len(story(folder, "a")["result"]["counts"]) == winner


def test_files_of_the_current_folder_are_not_taken_for_modules(folder: Path) -> None:
    (folder / "random.py").write_text("raise SystemExit('not this one')")
    hpcjobs(folder, *KMEANS, "-n", 2, "--out", "a", env={"PYTHONSAFEPATH": "1"})


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_closed_streams_are_no_obstacle(folder: Path, closed: str) -> None:
    words = " ".join(str(word) for word in (*KMEANS, "--out", "a"))
    script = f"{sys.executable} -m hpcjobs {words} {closed}"
    ended = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=clean_environment(folder), capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert len(story(folder, "a")["digest"]) == 64


def test_a_full_output_is_told_without_a_traceback(folder: Path) -> None:
    hpcjobs(folder, *KMEANS, "--out", "a")
    with Path("/dev/full").open("w") as full:
        argv = [sys.executable, "-m", "hpcjobs", "show", "a"]
        ended = subprocess.run(argv, cwd=folder, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "cannot be written" in ended.stderr


def test_an_exact_name_wins_over_longer_ones(folder: Path) -> None:
    for name in ("ab", "abc"):
        hpcjobs(folder, *KMEANS, "--out", f"x/{name}")
    assert story(folder, "ab")["run"] == str(folder / "x" / "ab")
    hpcjobs(folder, *KMEANS, "--out", "y/abc")
    hpcjobs(folder, *KMEANS, "--out", "x/ab")
    assert story(folder, "last")["run"] == str(folder / "x" / "ab")
    assert "name the run first" in refused(folder, "resume", "--max-iterations", 40, "ab")


def test_kernels_that_changed_are_compiled_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "kernels" / "cpu").mkdir(parents=True)
    monkeypatch.setattr("hpcjobs.__main__.KERNELS", tmp_path / "kernels")
    (tmp_path / "kernels" / "one.py").write_text("calls(two)")
    (tmp_path / "kernels" / "two.py").write_text("adds")
    before = numba_cache()
    assert numba_cache() == before
    (tmp_path / "kernels" / "two.py").write_text("takes")
    changed = numba_cache()
    assert changed != before
    (tmp_path / "kernels" / "cpu" / "three.py").write_text("from one")
    assert numba_cache() not in (before, changed)


def test_a_user_without_a_home_is_served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert numba_cache().is_relative_to(tmp_path)
    remember(tmp_path)
    with pytest.raises(RunFolderError, match="no run has been made yet"):
        find("last")
