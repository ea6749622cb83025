"""The learning rate of each step."""

import math
from dataclasses import dataclass

KINDS = ("constant", "step", "cosine")


@dataclass(frozen=True)
class Schedule:
    """`constant`; `step`: times `factor` every `every` steps; `cosine`: down to 0 at step `total`.

    All after `warmup` steps in which the rate rises in a line.
    """

    kind: str
    base: float
    warmup: int = 0
    every: int = 1
    factor: float = 0.1
    total: int = 0

    @property
    def knows_its_end(self) -> bool:
        """Whether a longer run would have had other rates from the start."""
        return self.kind == "cosine"


def rate(schedule: Schedule, step: int) -> float:
    """The rate of step `step`, counted from 0."""
    if step < schedule.warmup:
        return schedule.base * (step + 1) / schedule.warmup
    done = step - schedule.warmup
    if schedule.kind == "step":
        return float(schedule.base * schedule.factor ** (done // schedule.every))
    if schedule.kind == "cosine":
        return schedule.base * 0.5 * (1 + math.cos(math.pi * min(1.0, done / max(1, schedule.total - schedule.warmup))))
    return schedule.base
