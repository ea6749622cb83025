"""Progress: a bar on a terminal, a plain line every ten seconds in a log, nothing from other ranks."""

import sys

import pytest

from hpcjobs.runs import progress
from hpcjobs.runs.progress import Bar, Progress, say


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    monkeypatch.delenv("HPCJOBS_TERMINAL", raising=False)
    return made


def test_a_log_gets_a_line_every_ten_seconds(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    shown = Progress("kmeans", True, lambda reached: None)
    for number in range(1, 31):
        clock.now += 1.0
        shown.step(number, 40, f"inertia {number}")
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "hpcjobs: kmeans 11/40  inertia 11  1 it/s  at most 29 s left",
        "hpcjobs: kmeans 21/40  inertia 21  1 it/s  at most 19 s left",
    ]


def test_a_terminal_gets_a_bar(
    clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    shown = Progress("kmeans", True, lambda reached: None)
    for number in (1, 2):
        clock.now += 0.5
        shown.step(number, 4, "")
    say("done")
    text = capsys.readouterr().err
    assert text.startswith("\r\033[K" + "━" * 12 + "─" * 12)
    assert text.endswith("\r\033[Khpcjobs: done\n")
    with Bar("import") as bar:
        bar.to(50, 100)
    text = capsys.readouterr().err
    assert "import 50 %" in text
    assert text.endswith("\r\033[K")


def test_other_ranks_are_silent(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    shown = Progress("kmeans", False, lambda reached: None)
    for number in range(1, 40):
        clock.now += 1.0
        shown.step(number, 40, "")
    shown.say("hello")
    say("hello", speaks=False)
    assert capsys.readouterr().err == ""
