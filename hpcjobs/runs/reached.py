"""How far a run has come, from the small files in its folder."""

from dataclasses import dataclass
from pathlib import Path

from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.wording import seconds_since, span


@dataclass(frozen=True)
class Line:
    """Progress of one run; None where nobody has told."""

    step: int | None = None
    total: int | None = None
    rate: float | None = None
    seconds_left: float | None = None

    @property
    def progress(self) -> str:
        """`30/300`, or the step alone."""
        if self.step is None:
            return ""
        return f"{self.step}/{self.total}" if self.total else f"step {self.step}"

    @property
    def left(self) -> str:
        """The longest that it may still take."""
        return "" if self.seconds_left is None else span(self.seconds_left)

    @staticmethod
    def age(moment: str) -> str:
        """How long ago a moment was."""
        return span(seconds_since(moment))


def line_of(run: Path) -> Line:
    """What the run has told of its progress last, else the step of its newest checkpoint."""
    folder = RunFolder(run)
    told = folder.read_progress()
    if told:
        left = max(0.0, told["seconds_left"] - (seconds_since(told["time"]) or 0.0))
        return Line(told["step"], told["total"], told["rate"], left)
    step = folder.newest_step()
    return Line(step or None)
