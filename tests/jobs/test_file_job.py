"""A user's own job in a file runs, stops and resumes like ours."""

import re
from pathlib import Path

import pytest
from command import hpcjobs, refused, story

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "count.py").write_text(program)
    return tmp_path


def test_the_job_of_the_architecture_page_runs_on_ranks_and_grows(folder: Path) -> None:
    hpcjobs(folder, "run", "./count.py", "--steps", 4, "-n", 2, "--out", "run")
    assert story(folder, "run")["history"] == {"step": [1, 2, 3, 4], "value": [1, 2, 3, 4]}
    (folder / "elsewhere").mkdir()
    hpcjobs(folder / "elsewhere", "resume", "../run", "--steps", 6)
    assert story(folder, "run")["history"]["step"] == [1, 2, 3, 4, 5, 6]


def test_settings_of_a_users_job_are_checked(folder: Path) -> None:
    assert "--steps is 0" in refused(folder, "run", "./count.py", "--steps", 0)
    assert "did you mean '--steps'?" in refused(folder, "run", "./count.py", "--step", 3)


def test_a_file_that_is_no_job_is_refused(folder: Path) -> None:
    (folder / "empty.py").write_text("")
    assert "not a job" in refused(folder, "run", "./empty.py")
    assert "has no 'Counter'" in refused(folder, "run", "./count.py:Counter")
