"""Programs that crash, hang or leave children give an answer in time, and nothing of them is left."""

import os
import sys
from pathlib import Path

import pytest
from command import wait_until

from hpcjobs.launch import child


def test_what_a_program_says_and_how_it_ended_is_told() -> None:
    answer = child.python(["-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"], 30)
    assert (answer.code, answer.out, answer.err) == (3, "out\n", "err\n")


def test_a_crash_is_an_answer() -> None:
    answer = child.python(["-c", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"], 30)
    assert (answer.code, answer.problem) == (-11, "exit code -11")


def test_what_cannot_be_started_is_an_answer(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    assert child.run([str(tmp_path / "absent")], 30).code == 127
    assert child.run([str(tmp_path / "text")], 30).code == 126


def test_a_program_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    # Its own child keeps the pipes open and does not heed SIGTERM.
    script = f"(trap '' TERM; echo $BASHPID >{tmp_path}/pid; exec sleep 1000) & wait"
    answer = child.run(["bash", "-c", script], 0.5)
    assert (answer.code, answer.problem) == (None, "bash gave no answer within 0.5 s")
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text(), "its end")


def test_the_environment_is_the_one_handed_in() -> None:
    code = "import json, os; print(json.dumps({'a': os.environ.get('A'), 'home': os.environ.get('HOME')}))"
    assert child.last_object(child.python(["-c", code], 30, {"A": "1"}).out) == {"a": "1", "home": None}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", {}), ("noise\n", {}), ('[1]\n{"a": 1}\nnoise\n', {"a": 1}), ('{"a": 1}\n{"a": 2}\n{broken', {"a": 2})],
)
def test_the_last_object_counts(text: str, expected: dict[str, int]) -> None:
    assert child.last_object(text) == expected


def test_the_line_that_names_an_error_tells_more_than_the_last() -> None:
    assert child.telling("a\nImportError: no b\nnote: c\n") == "ImportError: no b"
    assert child.telling("a\n c \n\n") == "c"
    assert child.telling("") == ""
    assert len(child.telling("x" * 5000)) == child.LONGEST


def test_our_python_is_run_and_no_module_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "random.py").write_text("raise SystemExit('the wrong one')")
    monkeypatch.chdir(tmp_path)
    answer = child.python(["-c", "import random, sys; print(sys.executable)"], 30, os.environ)
    assert answer.out.strip() == sys.executable
