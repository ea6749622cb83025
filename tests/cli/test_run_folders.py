"""Start and continue are one thing: `run --out` and `resume` on folders that exist."""

import json
import platform
from pathlib import Path

import pytest
from command import hpcjobs, refused, start, story, wait_until

from hpcjobs.data.generate import generate_blobs

KMEANS = ("run", "kmeans", "--data", "b.h5", "--clusters", 4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    blobs(tmp_path, seed=1)
    return tmp_path


def blobs(folder: Path, seed: int, rows: int = 3000, spread: float = 1) -> None:
    generate_blobs(folder / "b.h5", rows=rows, columns=5, centres=4, seed=seed, spread=spread, force=True)


def test_a_run_prints_its_result_and_shows_itself(folder: Path) -> None:
    ended = hpcjobs(folder, *KMEANS, "--out", "a")
    assert ended.stdout.strip() == str(folder / "a" / "result.h5")
    told = story(folder, "a")
    assert told["job"] == "kmeans"
    assert told["state"] == "done"
    assert told["settings"]["clusters"] == 4
    assert told["settings"]["data"] == str(folder / "b.h5")
    assert [attempt["reason"] for attempt in told["attempts"]] == ["finished"]
    assert len(told["digest"]) == 64
    assert told["digest"] == story(folder, folder / "a" / "result.h5")["digest"]
    assert told["history"]["step"] == list(range(1, told["result"]["iterations"] + 1))
    text = hpcjobs(folder, "show", "a").stdout
    assert told["digest"] in text
    assert "clusters=4" in text
    assert "▁" in text


def test_the_folder_is_private_and_holds_what_the_contract_names(folder: Path) -> None:
    hpcjobs(folder, *KMEANS, "--out", "a")
    names = {path.name for path in (folder / "a").iterdir()}
    assert names == {"settings.json", "checkpoints", "result.h5", "outcome.json"}
    assert (folder / "a").stat().st_mode & 0o777 == 0o700
    assert (folder / "a" / "result.h5").stat().st_mode & 0o777 == 0o600
    assert json.loads((folder / "a" / "outcome.json").read_text())["state"] == "done"


def test_default_folder_is_found_as_last_and_by_the_beginning_of_its_name(folder: Path) -> None:
    ended = hpcjobs(folder, *KMEANS)
    made = Path(ended.stdout.strip()).parent
    assert made.parent == folder / "runs"
    assert f"run folder {made}" in ended.stderr
    assert story(folder, "last")["run"] == str(made)
    assert story(folder, made.name[:-1])["run"] == str(made)


def test_a_finished_run_is_left_as_it_is(folder: Path) -> None:
    hpcjobs(folder, *KMEANS, "--out", "a")
    before = (folder / "a" / "result.h5").stat()
    again = hpcjobs(folder, *KMEANS, "--out", "a", "-n", 2)
    assert "already done" in again.stderr
    assert again.stdout.strip() == str(folder / "a" / "result.h5")
    assert (folder / "a" / "result.h5").stat().st_mtime_ns == before.st_mtime_ns


def test_other_settings_are_refused_with_the_difference_named(folder: Path) -> None:
    hpcjobs(folder, *KMEANS, "--out", "a")
    message = refused(folder, *KMEANS, "--out", "a", "--seed", 5)
    assert "--seed: 0 -> 5" in message
    assert "--out" in message


def test_changed_data_are_refused(folder: Path) -> None:
    hpcjobs(folder, *KMEANS, "--out", "a")
    blobs(folder, seed=2)
    assert "b.h5 has changed" in refused(folder, "resume", "a")
    assert "b.h5:/data/x has changed" in refused(folder, "resume", "a", "--max-iterations", 400)


def test_a_folder_that_is_no_run_is_refused(folder: Path) -> None:
    (folder / "home").mkdir()
    (folder / "home" / "letter").write_text("dear")
    assert "not a run folder" in refused(folder, *KMEANS, "--out", "home")


def test_iterations_may_grow_and_end_as_if_asked_for_at_once(folder: Path) -> None:
    loop = ("--init", "random", "--tolerance", 0)
    hpcjobs(folder, *KMEANS, *loop, "--max-iterations", 2, "--out", "short")
    first = story(folder, "short")["digest"]
    hpcjobs(folder, "resume", "short", "--max-iterations", 6)
    hpcjobs(folder, *KMEANS, *loop, "--max-iterations", 6, "--out", "long")
    grown, long = story(folder, "short"), story(folder, "long")
    assert grown["digest"] == long["digest"] != first
    assert grown["history"] == long["history"]
    assert [attempt["first_step"] for attempt in grown["attempts"]] == [0, 2]
    assert "--max-iterations: 6 -> 3" in refused(folder, "resume", "short", "--max-iterations", 3)
    assert "did you mean '--max-iterations'?" in refused(folder, "resume", "short", "--max-iteration", 9)


def test_a_run_killed_between_its_last_checkpoint_and_its_result_ends_the_same(folder: Path) -> None:
    hpcjobs(folder, *KMEANS, "--restarts", 2, "--out", "a")
    before = story(folder, "a")
    (folder / "a" / "result.h5").unlink()
    (folder / "a" / "outcome.json").unlink()
    hpcjobs(folder, "resume", "a")
    assert story(folder, "a")["digest"] == before["digest"]


def test_a_run_killed_between_its_result_and_its_outcome_is_told_as_done(folder: Path) -> None:
    hpcjobs(folder, *KMEANS, "--out", "a")
    (folder / "a" / "outcome.json").unlink()
    assert "already done" in hpcjobs(folder, "resume", "a").stderr
    assert json.loads((folder / "a" / "outcome.json").read_text())["state"] == "done"
    assert not (folder / "a" / "lease").exists()


def test_a_folder_in_use_is_refused_with_its_owner_named(folder: Path) -> None:
    blobs(folder, seed=1, rows=400_000, spread=40)  # slow to converge
    endless = (*KMEANS, "--clusters", 60, "--tolerance", 0, "--max-iterations", 100_000, "--out", "a")
    with start(folder, *endless) as first:
        wait_until((folder / "a" / "lease").exists, "the lease")
        message = refused(folder, "resume", "a")
        assert story(folder, "a")["state"] == f"running as process {first.pid} on {platform.node()}"
        first.kill()
        first.wait()
    assert story(folder, "a")["state"] == "killed"
    assert f"in use by process {first.pid} on {platform.node()}" in message
