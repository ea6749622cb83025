"""The parts of a page that tell how a run went: what was logged, its attempts, their timing and energy."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.report.kinds import Curve, Figure, Line
from hpcjobs.report.page import Grid, Section
from hpcjobs.report.reading import Arrays, below

Story = Mapping[str, Any]
MOST_CURVES = 4
MOST_POINTS = 2000


def logged(history: Mapping[str, Sequence[float]]) -> list[Figure]:
    """The course of each column that was logged, the first few of them."""
    steps = history.get("step", [])
    found: list[Figure] = []
    for name, values in measures(history).items():
        kept = range(0, len(steps), max(1, -(-len(steps) // MOST_POINTS)))
        line = Line([steps[i] for i in kept], [values[i] for i in kept])
        words = name.replace("_", " ")
        told = f"{words} from {values[0]:.6g} at step {steps[0]} to {values[-1]:.6g} at step {steps[-1]}"
        found.append(Curve(words.capitalize(), f"{told}.", f"Line chart: {told}.", [line], "step", words))
    return found[:MOST_CURVES]


def measures(history: Mapping[str, Sequence[float]]) -> dict[str, Sequence[float]]:
    """The logged columns as long as there are steps."""
    steps = history.get("step", [])
    return {name: values for name, values in history.items() if name != "step" and steps and len(values) == len(steps)}


def history(story: Story) -> Section | None:
    """First, last, least and most of what was logged."""
    rows = []
    for name, values in measures(story["history"]).items():
        finite = [value for value in values if math.isfinite(value)] or [math.nan]
        shown = (values[0], values[-1], min(finite), max(finite))
        rows.append((name.replace("_", " "), *(f"{value:.6g}" for value in shown)))
    if not rows:
        return None
    steps = story["history"]["step"]
    grid = Grid(f"{len(steps)} steps, {steps[0]} to {steps[-1]}", ("measure", "first", "last", "least", "most"), rows)
    return Section("History", grids=[grid])


def attempts(story: Story, found: Arrays) -> Section | None:
    """Who ran it, from where to where and why each attempt ended; the seconds of each phase."""
    keys = ("job_id", "ranks", "nodes", "started", "ended")
    rows = [
        (
            number,
            *(one.get(key, "") for key in keys),
            f"{one.get('first_step', '')} to {one.get('last_step', '')}",
            one.get("reason", ""),
        )
        for number, one in enumerate(story["attempts"], 1)
    ]
    header = ("attempt", "Slurm job", "ranks", "nodes", "started", "ended", "steps", "why it ended")
    grids = [Grid("Attempts", header, rows)] if rows else []
    grids += _timing(below(found, "timing"))
    return Section("Attempts and timing", grids=grids) if grids else None


def _timing(found: Arrays) -> list[Grid]:
    """Seconds (ranks, phases) of the last attempt, over its ranks."""
    seconds, phases = found.get("seconds"), found.get("phase")
    if seconds is None or phases is None or seconds.dtype.kind != "f" or seconds.size == 0:
        return []
    if seconds.ndim != 2 or phases.shape != seconds.shape[1:]:
        return []
    whole = seconds.sum()
    rows = [
        (_word(phase), *spread(column), f"{column.sum() / whole:.1%}" if whole > 0 else "")
        for phase, column in zip(phases, seconds.T, strict=True)
    ]
    rows.append(("all", *spread(seconds.sum(axis=1)), ""))
    title = f"Seconds of the last attempt, over {len(seconds)} rank{'s' * (len(seconds) > 1)}"
    return [Grid(title, ("phase", "least", "mean", "most", "share"), rows)]


def spread(values: NDArray[Any]) -> tuple[str, str, str]:
    """Least, mean and most."""
    return f"{values.min():.3g}", f"{values.mean():.3g}", f"{values.max():.3g}"


def energy(found: Arrays) -> Section | None:
    """Joules, where a file tells of them; NaN is what nobody has measured."""
    rows = []
    for name, values in below(found, "energy").items():
        if values.dtype.kind != "f" or values.size == 0:
            continue
        known = values[np.isfinite(values)]
        said = f"{known.sum():.6g}" if known.size else "not measured"
        rows.append((name.replace("_", " "), said, f"{known.size} of {values.size}"))
    if not rows:
        return None
    return Section("Energy", grids=[Grid("Joules, summed over what was measured", ("what", "sum", "measured"), rows)])


def _word(value: Any) -> str:
    return value.decode(errors="replace").strip() if isinstance(value, bytes) else str(value)
