"""What a run says while it goes: a bar on a terminal, a plain line every ten seconds in a log."""

import os
import sys
import time

PLAIN_EVERY_S = 10.0
BAR_EVERY_S = 0.1
BAR_WIDTH = 24


class Progress:
    """Progress of one loop of at most `total` steps; silent on all ranks but the first."""

    def __init__(self, title: str, speaks: bool) -> None:
        self._title = title
        self._speaks = speaks
        self._bar = sys.stderr.isatty() or "HPCJOBS_TERMINAL" in os.environ
        self._began = time.monotonic()
        self._last = self._began
        self._done = 0

    def say(self, message: str) -> None:
        """One line for the user."""
        if self._speaks:
            self._clear()
            print(f"hpcjobs: {message}", file=sys.stderr, flush=True)

    def step(self, number: int, total: int, detail: str) -> None:
        """Tell that step `number` of at most `total` is done."""
        self._done += 1
        now = time.monotonic()
        if not self._speaks or now - self._last < (BAR_EVERY_S if self._bar else PLAIN_EVERY_S):
            return
        self._last = now
        rate = self._done / (now - self._began)
        left = (total - number) / rate
        text = f"{self._title} {number}/{total}  {detail}  {rate:.3g} it/s  at most {left:.0f} s left"
        if self._bar:
            filled = BAR_WIDTH * number // max(1, total)
            print(f"\r\033[K{'━' * filled}{'─' * (BAR_WIDTH - filled)} {text}", end="", file=sys.stderr, flush=True)
        else:
            print(f"hpcjobs: {text}", file=sys.stderr, flush=True)

    def _clear(self) -> None:
        if self._bar:
            print("\r\033[K", end="", file=sys.stderr)
