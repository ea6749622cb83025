"""The page of a run tells what was asked, what came of it, and where it comes from."""

import os
import platform
import shlex
from pathlib import Path

import h5py
import numpy as np
import pytest
from pages import ATTEMPT, page, read, run_file
from pretend import end, new_run

from hpcjobs.cli import Parser, report
from hpcjobs.data.schema import Variable, texts
from hpcjobs.jobs.kmeans import Settings
from hpcjobs.report import reading
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.lease import Lease, take
from hpcjobs.settings import add_flags, build, fields


def test_the_page_of_a_run_tells_all_of_it(digits: Path) -> None:
    found = page(digits / "run")
    with h5py.File(digits / "run" / "result.h5") as file:
        digest, counts = file.attrs["result_digest"].decode(), file["result/counts"][()]
        inertia = float(file["result/inertia"][()])
    assert found.text.startswith(
        "k-means of digits.h5 into 10 clusters kmeans, run k-means of digits.h5 into 10 clusters"
    )
    assert f"done: {digits}/run/result.h5" in found.text
    for heading in ("What was asked", "Result", "Figures", "History", "Attempts and timing", "Provenance"):
        assert heading in found.texts
    assert found.row("--clusters") == [
        "--clusters",
        "10",
        "number of clusters, or FIRST:END of those to try: 2:21 is 2 to 20",
    ]
    assert found.row("--tolerance")[1] == "0.0001 (by default)"
    assert found.row("/result/inertia")[1] == f"{inertia:.10g}"
    assert found.row("/result/labels")[1:3] == ["1797", "int32"]
    assert digest in found.text
    assert found.row("1")[2:4] == ["2", "1"]
    assert [cell for cell in found.row("iterate")[1:4] if float(cell) > 0]
    assert found.row("h5py") == ["h5py", h5py.__version__]
    assert found.row(f"{digits}/digits.h5:/data/x")[1] == "1797"
    assert "k-means of digits.h5 into 10 clusters. Made with hpcjobs 0.1.0" in found.text
    alts = [image["alt"] for image in found.every("img")]
    assert f"Bar chart: 10 clusters of {counts.min()} to {counts.max()} rows." in alts
    assert [alt.split(":")[0] for alt in alts] == ["Line chart", "Bar chart", "Scatter plot"]


def test_the_command_on_the_page_asks_for_the_same(tmp_path: Path) -> None:
    asked = Settings(data="/data/a b.h5:/x", clusters=7, init="random", tolerance=1e-05, seed=3, missing="omit")
    values = {name: getattr(asked, name) for name in fields(Settings)}
    found = page(run_file(tmp_path / "result.h5", settings=values))
    (shown,) = (text.strip() for text in found.texts if text.startswith("hpcjobs run "))
    words = shlex.split(shown)
    assert words[:3] == ["hpcjobs", "run", "kmeans"]
    assert words[-2:] == ["-n", "3"]
    parser = Parser(prog="run")
    add_flags(parser, fields(Settings))
    assert build(Settings, None, vars(parser.parse(words[3:-2]))) == asked


def test_the_programs_on_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = page(run_file(tmp_path / "result.h5"))
    monkeypatch.chdir(tmp_path)
    programs = [text for text in found.texts if text.startswith("import ")]
    assert len(programs) == 2
    names: dict[str, object] = {}
    for program in programs:
        exec(compile(program, "page", "exec"), names)  # noqa: S102
    assert np.array_equal(names["values"], [0, 0, 1])  # type: ignore[arg-type]
    assert names["data"]["labels"].shape == (3,)  # type: ignore[index]


@pytest.mark.parametrize(("kind", "verdict"), [("checkpoint", "A checkpoint"), ("live", "A look at a run")])
def test_a_file_of_an_unfinished_run_says_so(tmp_path: Path, kind: str, verdict: str) -> None:
    found = page(run_file(tmp_path / "some.h5", kind))
    assert verdict in found.text
    assert "There is no result yet." in found.text
    assert "Cite" not in found.text
    assert found.row("inertia")[1:] == ["9", "4", "4", "9"]


def test_a_run_that_has_not_begun_has_a_page(tmp_path: Path) -> None:
    folder = new_run(tmp_path / "run", tags=["first"], clusters=3)
    found = page(folder.path)
    assert "not started" in found.text
    assert "run, tags: first" in found.text
    assert found.row("--clusters")[1] == "3"


def test_a_run_that_goes_on_shows_its_newest_file(tmp_path: Path) -> None:
    folder = new_run(tmp_path / "run", clusters=3)
    folder.checkpoints.mkdir(exist_ok=True)
    run_file(folder.checkpoint(2), "checkpoint")
    run_file(folder.live, "live", history={"inertia": [8.0, 2.0]})
    attempts = take(folder, {key: value for key, value in ATTEMPT.items() if key != "ended"}, [])
    lease = Lease(folder.lease, attempts[-1]["id"], beats=False)
    try:
        found = page(folder.path)
    finally:
        lease.release()
    assert f"running: process {os.getpid()} on {platform.node()}" in found.text
    assert "hpcjobs logs -f" in found.text
    assert "newest live file, live.h5" in found.text
    assert found.row("inertia")[1:] == ["8", "2", "2", "8"]


def test_a_failed_run_shows_why_and_the_end_of_its_log(tmp_path: Path) -> None:
    folder = new_run(tmp_path / "run", clusters=3)
    (folder.path / "log-12.out").write_text("\n".join(f"line {number}" for number in range(50)))
    (folder.path / "checkpoints").mkdir(exist_ok=True)
    run_file(folder.checkpoint(4), "checkpoint", attempts=[ATTEMPT | {"reason": "running"}])
    end(folder, 1, "rank 2: it went wrong", job="12")
    found = page(folder.path)
    assert "failed: rank 2: it went wrong" in found.text
    assert "line 49" in found.text
    assert "line 5 " not in found.text
    assert "hpcjobs resume" in found.text
    assert "newest checkpoint file, step-000000000004.h5" in found.text
    assert found.every("img")


def test_energy_that_nobody_measured_is_told_as_such(tmp_path: Path) -> None:
    joules = {
        "/energy/cpu": Variable(("rank",), np.array([5.0, np.nan, 2.5]), "joules", "J"),
        "/energy/gpu": Variable(("rank",), np.full(3, np.nan), "joules", "J"),
        "/energy/source": Variable(("rank",), texts(["a", "b", "c"]), "where from"),
    }
    found = page(run_file(tmp_path / "result.h5", more=joules))
    assert found.row("cpu") == ["cpu", "7.5", "2 of 3"]
    assert found.row("gpu") == ["gpu", "not measured", "0 of 3"]
    assert "Energy" not in page(run_file(tmp_path / "plain.h5")).text


def test_timing_is_told_over_ranks(tmp_path: Path) -> None:
    timing = {
        "/timing/phase": Variable(("phase",), texts(["read", "work"]), "phase"),
        "/timing/seconds": Variable(("rank", "phase"), np.array([[1.0, 2.0], [3.0, 2.0], [2.0, 5.0]]), "time", "s"),
    }
    found = page(run_file(tmp_path / "result.h5", more=timing))
    assert found.row("read") == ["read", "1", "2", "3", "40.0%"]
    assert found.row("work") == ["work", "2", "3", "5", "60.0%"]
    assert found.row("all") == ["all", "3", "5", "7", ""]


def test_a_job_that_is_not_installed_shows_what_it_has_logged(tmp_path: Path) -> None:
    found = page(
        run_file(tmp_path / "result.h5", job="theirs", settings={"depth": 4}, history={"loss_rate": [2.0, 1.0]})
    )
    assert found.row("--depth") == ["--depth", "4", ""]
    assert [image["alt"] for image in found.every("img")] == ["Line chart: loss rate from 2 at step 1 to 1 at step 2."]


def test_new_columns_of_a_clustering_result_are_drawn_or_left_alone(tmp_path: Path) -> None:
    more = {
        "/result/score_clusters": Variable(("tried",), np.array([4, 2, 3]), "clusters tried"),
        "/result/score_silhouette": Variable(("tried",), np.array([0.2, 0.5, 0.3]), "silhouette"),
        "/result/outlier": Variable(("id",), np.array([0, 1, 0], dtype=np.uint8), "1 if far from all"),
        "/result/scores_calinski": Variable((), np.array(3.0), "of the result"),
    }
    alts = [image["alt"] for image in page(run_file(tmp_path / "result.h5", more=more)).every("img")]
    assert "Line chart: silhouette of 3 numbers of clusters, 2 to 4." in alts
    assert not any("calinski" in alt for alt in alts)


def test_rows_are_shown_only_while_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = tmp_path / "x.h5"
    with h5py.File(inner, "w") as file:
        file["x"] = np.random.default_rng(1).normal(size=(3, 4))
    status = inner.stat()
    entry = {
        "name": f"{inner}:/x",
        "rows": 3,
        "digest": "rows:00",
        "size": status.st_size,
        "modified": status.st_mtime_ns,
    }
    result = run_file(tmp_path / "result.h5", inputs=[entry])
    assert "Scatter plot: 3 rows along" in str(page(result).every("img"))
    run_file(result, inputs=[entry | {"modified": 5}])
    assert f"the input has changed since: {inner}" in page(result).text
    assert "Scatter plot: 2 centres along" in str(page(result).every("img"))
    run_file(result, inputs=[entry])
    monkeypatch.setattr(reading, "LARGEST_INPUT", 95)  # 3 rows of 4 numbers are 96 bytes
    assert "too large to be read again" in page(result).text
    inner.unlink()
    assert f"the input is not there any more: {inner}" in page(result).text


def test_a_page_lies_in_its_folder_and_is_as_private(digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report.main([str(digits / "run"), "--force"]) == 0
    made = digits / "run" / "report.html"
    assert capsys.readouterr().out == f"{made}\n"
    assert made.stat().st_mode & 0o777 == 0o600
    read(made)
    assert RunFolder(digits / "run").read_outcome()["state"] == "done"


def test_centres_are_images_where_the_user_says_so(digits: Path) -> None:
    alts = str(page(digits / "run" / "result.h5", "--shape", "8x8").every("img"))
    assert "Small images: all centres as images of 8 x 8." in alts
