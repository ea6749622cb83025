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


def test_a_job_in_a_folder_whose_name_looks_like_a_file_runs_and_goes_on(folder: Path) -> None:
    (folder / ".pyenv").mkdir()
    (folder / "count.py").rename(folder / ".pyenv" / "count.py")
    hpcjobs(folder, "run", ".pyenv/count.py", "--out", "run")
    hpcjobs(folder, "resume", "run", "--steps", 5)
    assert story(folder, "run")["history"]["step"] == [1, 2, 3, 4, 5]


def test_settings_of_a_users_job_are_checked(folder: Path) -> None:
    assert "--steps is 0" in refused(folder, "run", "./count.py", "--steps", 0)
    assert "did you mean '--steps'?" in refused(folder, "run", "./count.py", "--step", 3)


def test_a_file_that_is_no_job_is_refused(folder: Path) -> None:
    (folder / "empty.py").write_text("")
    assert "not a job" in refused(folder, "run", "./empty.py")
    assert "has no 'Counter'" in refused(folder, "run", "./count.py:Counter")
    (folder / "two.py").write_text("class Job:\n    class Settings: ...\n    def run(self): ...\n\nJoke = 1\n")
    assert "has no 'Joe'; did you mean 'Job'?" in refused(folder, "run", "./two.py:Joe")
    assert "has no 'Other'; known: Job" in refused(folder, "run", "./two.py:Other")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1\ndef run(:\n", ["line 2", "SyntaxError"]),
        ("\n\nimport no_such_module\n", ["line 3", "ModuleNotFoundError", "no_such_module"]),
        ("1 / 0\n", ["line 1", "ZeroDivisionError"]),
    ],
)
def test_a_file_that_cannot_be_loaded_is_refused_with_its_line(folder: Path, text: str, words: list[str]) -> None:
    (folder / "broken.py").write_text(text)
    message = refused(folder, "run", "./broken.py")
    assert all(word in message for word in ["broken.py", *words]), message


def test_settings_need_no_description(folder: Path) -> None:
    text = (folder / "count.py").read_text()
    (folder / "plain.py").write_text(re.sub(r"steps: Annotated.*= 3", "steps: int = 3", text))
    hpcjobs(folder, "run", "./plain.py", "--out", "run")
    assert story(folder, "run")["history"]["step"] == [1, 2, 3]
