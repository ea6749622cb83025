"""`hpcjobs list`: every run of mine, with what I ask to see of it."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from command import hpcjobs, refused
from pretend import Pretend, end, new_run, new_sweep, sent

from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.outcome import now


def listed(cwd: Path, *arguments: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(hpcjobs(cwd, "list", *arguments, "--json").stdout)
    return found


def reach(folder: RunFolder, step: int, total: int) -> None:
    reached = {"step": step, "total": total, "detail": "", "rate": 0.01, "seconds_left": 3700.0, "time": now()}
    folder.progress.write_bytes(msgspec.json.encode(reached))


@pytest.fixture
def runs(tmp_path: Path, slurm: Pretend) -> Path:
    """Four runs, made in this order: done, failed, running (slowly), waiting."""
    places = {name: new_run(tmp_path / name, ["paper"] if name in "ab" else [], clusters=8) for name in "abcd"}
    end(places["a"], 0, "finished")
    end(places["b"], 1, "rank 0: ValueError", step=3)
    for name, job in (("c", "12"), ("d", "13")):
        sent(places[name].path, job)
    slurm.queue(job12="RUNNING", job13="PENDING Priority")
    reach(places["c"], 30, 300)
    return tmp_path


def test_every_run_is_listed_the_newest_first(runs: Path) -> None:
    assert [(one["run"], one["state"]) for one in listed(runs)] == [
        ("d", "pending"), ("c", "running"), ("b", "failed"), ("a", "done")
    ]  # fmt: skip
    lines = hpcjobs(runs, "list").stdout.splitlines()
    assert lines[0].split() == ["run", "job", "job_id", "state", "age", "progress", "rate", "left"]
    running = next(line for line in lines if line.startswith("c "))
    for part in ("12", "running", "30/300", "100 s each", "1 h 01 min"):
        assert part in running


def test_runs_are_sorted_and_chosen_by_tag_and_state(runs: Path) -> None:
    assert [one["run"] for one in listed(runs, "--sort", "name")] == ["a", "b", "c", "d"]
    assert [one["run"] for one in listed(runs, "--sort", "state")] == ["a", "b", "d", "c"]
    assert [one["run"] for one in listed(runs, "--sort", "progress")][:2] == ["a", "c"]
    assert [one["run"] for one in listed(runs, "--tag", "paper")] == ["b", "a"]
    assert [one["run"] for one in listed(runs, "--state", "failed")] == ["b"]


def test_settings_are_columns_and_unknown_ones_are_refused(runs: Path) -> None:
    assert [one["clusters"] for one in listed(runs, "--columns", "clusters")] == [8, 8, 8, 8]
    assert hpcjobs(runs, "list", "--columns", "clusters").stdout.splitlines()[0].endswith("clusters")
    assert "did you mean 'clusters'" in refused(runs, "list", "--columns", "cluster")


def test_results_are_columns(tmp_path: Path, slurm: Pretend) -> None:
    hpcjobs(tmp_path, "data", "generate", "blobs", "b.h5", "--rows", 200, "--columns", 2, "--centres", 3)
    hpcjobs(tmp_path, "run", "kmeans", "--data", "b.h5", "--clusters", 3, "--out", "a")
    shown = json.loads(hpcjobs(tmp_path, "show", "a", "--json").stdout)
    (row,) = listed(tmp_path, "--columns", "clusters,inertia,max-iterations")
    assert row["inertia"] == shown["result"]["inertia"]
    assert row["clusters"] == 3
    assert row["max_iterations"] == shown["settings"]["max_iterations"]


def test_tasks_of_a_sweep_are_runs(tmp_path: Path, slurm: Pretend) -> None:
    new_sweep(tmp_path / "sweep", 3)
    assert [(one["run"], one["seed"]) for one in listed(tmp_path, "--columns", "seed")] == [
        ("sweep/task-00000", 0), ("sweep/task-00001", 1), ("sweep/task-00002", 2)
    ]  # fmt: skip


def test_a_screen_shows_the_first_runs_and_says_how_to_see_the_rest(tmp_path: Path, slurm: Pretend) -> None:
    new_sweep(tmp_path / "sweep", 40)
    short, full = hpcjobs(tmp_path, "list"), hpcjobs(tmp_path, "list", "--all")
    assert len(short.stdout.splitlines()) == 31
    assert "10 more" in short.stderr
    assert len(full.stdout.splitlines()) == 41
    assert len(listed(tmp_path)) == 40


def test_damaged_and_removed_runs_are_passed_over(runs: Path) -> None:
    (runs / "a" / "settings.json").write_text("{")
    (runs / "b" / "settings.json").unlink()
    assert [one["run"] for one in listed(runs)] == ["d", "c"]
