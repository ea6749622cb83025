"""Where a run of many starts, and of many numbers of clusters, stands: what its checkpoint keeps."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.errors import SettingsError

Floats = NDArray[np.float64]
State = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Best:
    """The best finished start of one number of clusters: centres (clusters, features)."""

    inertia: float
    centres: Floats
    iterations: int
    start: int
    converged: bool


@dataclass
class Fit:
    """One start of one number of clusters, under way."""

    clusters: int
    centres: Floats | None = None
    iteration: int = 0
    converged: bool = False
    seen: Floats | None = None  # (clusters,) weight that each centre has seen, in mini-batches
    smooth: float = np.inf  # squared shift, averaged over mini-batches
    inertia: float = np.nan
    shift: float = np.nan

    def active(self, max_iterations: int) -> bool:
        """Whether there is an iteration left to do."""
        return self.iteration < max_iterations and not self.converged


@dataclass
class Position:
    """Where a run stands: all numbers of clusters go through one start together."""

    fits: list[Fit]
    start: int = 0
    best: dict[int, Best] = field(default_factory=dict)

    @classmethod
    def restore(cls, state: State, counts: Sequence[int], max_iterations: int, restarts: int) -> "Position":
        """The position in a checkpoint's state; the beginning when there is none."""
        if not state:
            return cls([Fit(count) for count in counts])
        before = int(state["max_iterations"])
        if before != max_iterations and restarts > 1:
            raise SettingsError(
                f"--max-iterations: {before} -> {max_iterations}: a run of {restarts} starts cannot be "
                "extended (the starts that ended would have had fewer iterations); make a new run"
            )
        fits, best = [], {}
        for count in counts:
            of_count = f"k{count}_"
            own = {name.removeprefix(of_count): value for name, value in state.items() if name.startswith(of_count)}
            fits.append(Fit(count, **_values(own, "fit_")))
            if "best_centres" in own:
                best[count] = Best(**_values(own, "best_"))
        if before != max_iterations and best:  # a finished run goes on where it ended
            return cls(fits)
        return cls(fits, int(state["start"]), best)

    def state(self, max_iterations: int) -> State:
        """The arrays of a checkpoint."""
        numbers: dict[str, Any] = {"start": self.start, "max_iterations": max_iterations}
        for fit in self.fits:
            own = {key: value for key, value in vars(fit).items() if value is not None and key != "clusters"}
            numbers |= {f"k{fit.clusters}_fit_{key}": value for key, value in own.items()}
        for count, best in self.best.items():
            numbers |= {f"k{count}_best_{key}": value for key, value in vars(best).items()}
        return {name: np.array(int(value) if isinstance(value, bool) else value) for name, value in numbers.items()}

    def finish_start(self, inertias: Sequence[float], restarts: int) -> None:
        """Keep each fit that is better than those of the starts before (the first of equals), and turn to the next."""
        for fit, inertia in zip(self.fits, inertias, strict=True):
            assert fit.centres is not None
            if fit.clusters not in self.best or inertia < self.best[fit.clusters].inertia:
                self.best[fit.clusters] = Best(inertia, fit.centres, fit.iteration, self.start, fit.converged)
        self.start += 1
        if self.start < restarts:  # the last ones stay, for a run that is extended
            self.fits = [Fit(fit.clusters) for fit in self.fits]


def _values(own: State, prefix: str) -> dict[str, Any]:
    """The fields of a `Fit` or `Best`: arrays as they are, single values as Python has them."""
    found = {name.removeprefix(prefix): value for name, value in own.items() if name.startswith(prefix)}
    values = {name: value if value.ndim else value.item() for name, value in found.items()}
    return values | {name: bool(value) for name, value in values.items() if name == "converged"}
