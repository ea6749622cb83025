"""What a run says while it goes: a bar on a terminal, a plain line every ten seconds in a log."""

import contextlib
import os
import sys
import time
from collections.abc import Callable

PLAIN_EVERY_S = 10.0
BAR_EVERY_S = 0.1
BAR_WIDTH = 24


def on_terminal() -> bool:
    """Whether a person watches: here, or where the launcher that started this rank runs."""
    return sys.stderr.isatty() or "HPCJOBS_TERMINAL" in os.environ


def say(message: str, speaks: bool = True) -> None:
    """One line for the user, in place of a bar."""
    if speaks:
        start = "\r\033[K" if on_terminal() else ""
        tell(f"{start}hpcjobs: {message}\n")


def tell(text: str) -> None:
    """Write to the user; a terminal that is gone must not end a run."""
    try:
        print(text, end="", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        forget_terminal()


def forget_terminal() -> None:
    """Let the rest of what we say go nowhere: text that cannot be written would spoil the exit code."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


class Progress:
    """Progress of one loop of at most `total` steps; silent on all ranks but the first."""

    def __init__(self, title: str, speaks: bool, record: Callable[[dict[str, str | float]], None]) -> None:
        """`record` is handed the numbers every ten seconds, for those who watch from elsewhere."""
        self._record = record
        self._recorded = 0.0
        self._title = title
        self._speaks = speaks
        self._bar = on_terminal()
        self._began = 0.0
        self._last = 0.0
        self._done = -1

    def say(self, message: str) -> None:
        """One line for the user."""
        say(message, self._speaks)

    def step(self, number: int, total: int, detail: str) -> None:
        """Tell that step `number` of at most `total` is done."""
        self._done += 1
        now = time.monotonic()
        if self._done == 0:  # the first step includes whatever came before it: the rate counts from its end
            self._began = self._last = now
        if not self._speaks or self._done == 0:
            return
        rate = self._done / (now - self._began)
        left = (total - number) / rate
        if now - self._recorded >= PLAIN_EVERY_S:
            self._recorded = now
            self._record({"step": number, "total": total, "detail": detail, "rate": rate, "seconds_left": left})
        if now - self._last < (BAR_EVERY_S if self._bar else PLAIN_EVERY_S):
            return
        self._last = now
        text = f"{self._title} {number}/{total}  {detail}  {rate:.3g} it/s  at most {left:.0f} s left"
        if self._bar:
            draw(number, total, text)
        else:
            tell(f"hpcjobs: {text}\n")


class Bar:
    """Progress of one pass over bytes or rows, drawn on a terminal only and wiped at the end."""

    def __init__(self, title: str, speaks: bool = True) -> None:
        self._title = title
        self._draws = speaks and on_terminal()
        self._last = 0.0

    def to(self, done: int, total: int) -> None:
        """Tell that `done` of `total` are done."""
        now = time.monotonic()
        if self._draws and now - self._last >= BAR_EVERY_S:
            self._last = now
            draw(done, total, f"{self._title} {100 * done // max(1, total)} %")

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        if self._draws:
            tell("\r\033[K")


def draw(done: int, total: int, text: str) -> None:
    """A bar and a text in place of the line before."""
    filled = min(BAR_WIDTH, BAR_WIDTH * done // max(1, total))
    tell(f"\r\033[K{'━' * filled}{'─' * (BAR_WIDTH - filled)} {text}")
