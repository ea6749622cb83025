"""Where a run of many starts stands: what its checkpoint keeps."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.errors import SettingsError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Best:
    """The best finished start: centres (clusters, features)."""

    inertia: float
    centres: Floats
    iterations: int
    start: int
    converged: bool


@dataclass
class Position:
    """Where a run stands: what a checkpoint keeps."""

    start: int = 0
    iteration: int = 0
    converged: bool = False
    centres: Floats | None = None
    best: Best | None = None

    @classmethod
    def restore(cls, state: dict[str, NDArray[Any]], max_iterations: int, restarts: int) -> "Position":
        """The position in a checkpoint's state; the beginning when there is none."""
        if not state:
            return cls()
        before = int(state["max_iterations"])
        if before != max_iterations and restarts > 1:
            raise SettingsError(
                f"--max-iterations: {before} -> {max_iterations}: a run of {restarts} starts cannot be "
                "extended (the starts that ended would have had fewer iterations); make a new run"
            )
        if before != max_iterations and "best_centres" in state:  # a finished run goes on where it ended
            return cls(0, int(state["best_iterations"]), bool(state["best_converged"]), state["best_centres"])
        at = cls(int(state["start"]), int(state["iteration"]), bool(state["converged"]), state.get("centres"))
        if "best_centres" in state:
            at.best = Best(
                float(state["best_inertia"]), state["best_centres"], int(state["best_iterations"]),
                int(state["best_start"]), bool(state["best_converged"]),
            )  # fmt: skip
        return at

    def state(self, max_iterations: int) -> dict[str, NDArray[Any]]:
        """The arrays of a checkpoint."""
        numbers: dict[str, Any] = {
            "start": self.start,
            "iteration": self.iteration,
            "converged": int(self.converged),
            "max_iterations": max_iterations,
        }
        if self.centres is not None:
            numbers["centres"] = self.centres
        if self.best is not None:
            numbers |= {f"best_{name}": value for name, value in vars(self.best).items()}
        return {name: np.asarray(np.asarray(value) + 0) for name, value in numbers.items()}

    def finish_start(self, inertia: float) -> None:
        """Keep this start if it is better than those before (the first of equals), and turn to the next."""
        assert self.centres is not None
        if self.best is None or inertia < self.best.inertia:
            self.best = Best(inertia, self.centres, self.iteration, self.start, self.converged)
        self.start, self.iteration, self.converged, self.centres = self.start + 1, 0, False, None
