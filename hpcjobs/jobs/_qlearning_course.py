"""What every kind of Q-learning does beside learning: whole rounds, rows of the history, progress, checkpoints."""

import time
from typing import Any

from numpy.typing import NDArray

from hpcjobs.errors import RunFolderError
from hpcjobs.jobs._qlearning_settings import Settings
from hpcjobs.runs.context import Context, Saveable


class Course:
    """The way through the rounds of one attempt."""

    def __init__(self, context: Context, settings: Settings, steps_of_round: int, begun: int) -> None:
        self.last = -(-settings.steps // steps_of_round)
        self.steps = self.last * steps_of_round
        self._context, self._steps_of_round, self._begun = context, steps_of_round, begun
        self._before = context.history.columns.get("seconds", [0.0])[-1]  # what earlier attempts have taken
        self._began, self._detail = time.monotonic(), ""
        if settings.steps % steps_of_round:
            context.progress.say(f"--steps {settings.steps} become {self.steps}: {self.last} whole rounds")

    def due(self, rounds: int) -> bool:
        """Whether a row is due: after each of the first rounds, then ever more seldom, by a twentieth; at the end."""
        before = self._context.history.steps
        return not before or rounds >= before[-1] + max(1, before[-1] // 20)

    def log(self, rounds: int, row: dict[str, float], beside: str) -> None:
        """Log a row, with its time; `beside` says what its return is to be compared with."""
        seconds = time.monotonic() - self._began
        self._context.history.log(rounds, **row, seconds=self._before + seconds)
        rate = (rounds - self._begun) * self._steps_of_round / seconds
        self._detail = f"return {row['return']:.5g} {beside}  epsilon {row['epsilon']:.3g}  {rate:.3g} steps/s"

    def round_done(self, rounds: int, state: Saveable) -> None:
        """Show and save when due."""
        self._context.progress.step(rounds, self.last, self._detail)
        self._context.step_done(rounds, state)


def refuse_another(kept: NDArray[Any], found: str, name: str) -> None:
    """RunFolderError when the environment is not the one with which a run began; `kept` is the digest of that one."""
    if str(kept.astype(str)).strip() != found:
        raise RunFolderError(f"--env {name}: has changed since this run began; bring it back, or start a new run")
