"""What no page is made of is refused with advice; what comes from files stays text."""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from pages import ATTEMPT, page, read, run_file

from hpcjobs.cli import report
from hpcjobs.data.schema import Variable
from hpcjobs.errors import DataError, RunFolderError, SettingsError, UserError
from hpcjobs.report import page as pages

HOSTILE = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202e\x1b[31m{{ 7 * 7 }}{% raw %} http://evil.example/x"


def test_text_of_any_kind_stays_text(tmp_path: Path) -> None:
    attempt = ATTEMPT | {"reason": HOSTILE, "started": HOSTILE}
    more = {f"/result/{HOSTILE.replace('/', '|')}": Variable((), np.array(1.5), HOSTILE)}
    entry = {"name": HOSTILE, "rows": 1, "digest": HOSTILE, "size": 1, "modified": 1}
    columns = {f"$\\frac{{{HOSTILE.replace('/', '|')}": [1.0, 2.0]}
    path = run_file(
        tmp_path / "result.h5",
        title=HOSTILE,
        job=HOSTILE,
        settings={HOSTILE: HOSTILE, "nested": {"a": [HOSTILE]}},
        history=columns,
        inputs=[entry],
        attempts=[attempt],
        more=more,
    )
    found = page(path)
    assert "<script>alert(1)</script>" in found.text
    assert "{{ 7 * 7 }}" in found.text
    content = (tmp_path / "page.html").read_text()
    assert not set("\u202e\x1b") & set(content)
    assert [attributes["src"][:9] for attributes in found.every("img")] == ["data:imag"]


def test_long_text_is_cut(tmp_path: Path) -> None:
    found = page(run_file(tmp_path / "result.h5", title="A" * 10_000, settings={"data": "B" * 30_000}))
    assert "cut: too long for a page" in found.text
    assert max(len(text) for text in found.texts) < 2 * pages.LONGEST
    assert not any(text.startswith("hpcjobs run") for text in found.texts)


def test_code_that_a_file_names_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nSettings = run = None\n")
    page(run_file(tmp_path / "result.h5", job=str(tmp_path / "evil.py")))
    assert not (tmp_path / "ran").exists()


def test_a_result_unlike_any_that_the_job_writes_still_has_a_page(tmp_path: Path) -> None:
    more = {
        "/result/centres": Variable((), np.array(3.0), "no centres"),
        "/result/counts": Variable(("cluster",), np.array([np.nan, 1.0]), "no counts"),
        "/result/labels": Variable((), np.array(3), "no labels"),
        "/result/inertia": Variable(("a", "b"), np.ones((2, 2)), "no inertia"),
    }
    huge = [1.7e308, -1.7e308, float("nan"), float("inf")]
    found = page(run_file(tmp_path / "result.h5", more=more, history={"inertia": huge, "start": huge}))
    assert found.row("/result/inertia")[1] == "2 x 2"


def test_links_out_of_the_file_are_not_followed(tmp_path: Path) -> None:
    path, secret = run_file(tmp_path / "result.h5"), tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["x"] = [42.0]
    plain = tmp_path / "plain.h5"
    with h5py.File(path) as ours, h5py.File(plain, "w") as file:
        file.attrs.update(ours.attrs)
        for name in ours:
            ours.copy(name, file)
        file["history/away"] = h5py.ExternalLink(str(secret), "/x")
    with pytest.raises(DataError, match="history/away is an external link"):
        page(plain)


@pytest.mark.parametrize("group", ["history", "result", "provenance/attempts"])
def test_a_shape_bomb_is_refused(tmp_path: Path, group: str) -> None:
    path, bomb = run_file(tmp_path / "result.h5"), tmp_path / "bomb.h5"
    with h5py.File(path) as ours, h5py.File(bomb, "w") as file:
        file.attrs.update(ours.attrs)
        for name in ours:
            ours.copy(name, file)
        file.create_dataset(f"{group}/bomb", shape=(2**40,), dtype="f8", chunks=(1024,))
    with pytest.raises(DataError, match="shape bomb"):
        page(bomb)


def test_files_of_other_programs_are_refused_with_advice(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "theirs.h5", "w") as file:
        file["x"] = np.ones((3, 2))
    with pytest.raises(DataError, match="another program wrote this file"):
        page(tmp_path / "theirs.h5")


@pytest.mark.parametrize(
    ("argv", "kind", "words"),
    [
        (["absent.h5"], RunFolderError, "absent.h5"),
        (["text.h5"], DataError, "not a readable HDF5 file"),
        (["empty"], RunFolderError, "not a run folder"),
        (["result.h5", "-o", "no/page.html"], SettingsError, "there is no folder"),
        (["result.h5", "-o", "empty"], SettingsError, "is a folder"),
        (["result.h5", "--shape", "2x3"], SettingsError, "makes 6 values where a row has 4 features"),
        (["result.h5", "--shape", "4"], SettingsError, "expected HEIGHTxWIDTH"),
        (["result.h5", "--shape", "2xtwo"], SettingsError, "expected HEIGHTxWIDTH"),
        (["result.h5", "--shape", "0x4"], SettingsError, "expected HEIGHTxWIDTH"),
        (["result.h5", "--shape", "1x2x2"], SettingsError, "2 channels"),
        (["live.h5", "--shape", "2x2"], SettingsError, "no centres and no rows"),
        (["result.h5", "more"], SettingsError, "unknown argument more"),
        (["result.h5", "--shap", "2x2"], SettingsError, "did you mean '--shape'"),
    ],
)
def test_wrong_commands_say_what_would_be_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argv: list[str], kind: type[UserError], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "text.h5").write_text("not HDF5")
    (tmp_path / "empty").mkdir()
    run_file(tmp_path / "result.h5")
    run_file(tmp_path / "live.h5", "live")
    before = set(tmp_path.iterdir())
    with pytest.raises(kind, match=words):
        report.main(argv)
    assert set(tmp_path.iterdir()) == before


def test_a_page_that_is_there_stays_without_force(tmp_path: Path) -> None:
    path = run_file(tmp_path / "result.h5")
    (tmp_path / "result.html").write_text("mine")
    with pytest.raises(SettingsError, match="exists already; name another file, or replace it with --force"):
        report.main([str(path)])
    assert (tmp_path / "result.html").read_text() == "mine"
    report.main([str(path), "--force"])
    read(tmp_path / "result.html")


def test_a_missing_library_is_named_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = run_file(tmp_path / "result.h5")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SettingsError, match=r"needs matplotlib.*pip install 'hpcjobs\[report\]'"):
        report.main([str(path)])


def test_jobs_and_the_verb_load_no_drawing_library() -> None:
    heavy = "{'matplotlib', 'jinja2', 'PIL'}"
    code = f"import sys, hpcjobs.cli.report, hpcjobs.jobs.kmeans; print(*{heavy} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == ""
