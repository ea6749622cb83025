"""Spans of time, progress and rows of text as people read them."""

import time
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime

GAP = "  "


def seconds_since(moment: str) -> float | None:
    """How long ago a time of our own files was; None for what is no such time."""
    try:
        then = datetime.strptime(moment, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    return max(0.0, time.time() - then.timestamp())


def span(seconds: float | None) -> str:
    """A span of time in one or two units: 42 s, 3 min, 2 h 05 min, 4 d 3 h."""
    if seconds is None:
        return ""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def rate(steps_a_second: float | None) -> str:
    """Steps a second, or the seconds of one step where it takes long."""
    if not steps_a_second or steps_a_second <= 0:
        return ""
    return f"{steps_a_second:.3g}/s" if steps_a_second >= 0.1 else f"{1 / steps_a_second:.3g} s each"


def line(text: str) -> str:
    """A text of whatever origin on one line of a terminal, without what would steer the terminal."""
    spaced = " ".join(text.split())
    return "".join(sign for sign in spaced if unicodedata.category(sign) not in ("Cc", "Cf", "Cs"))


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of equally many texts, in line below each other; columns that are empty but for their title are left out."""
    texts = [[line(cell) for cell in row] for row in rows]
    kept = [number for number, column in enumerate(zip(*texts, strict=True)) if len(column) == 1 or any(column[1:])]
    widths = {number: max(len(row[number]) for row in texts) for number in kept}
    return [GAP.join(row[number].ljust(widths[number]) for number in kept).rstrip() for row in texts]
