"""The parts of a page that tell of a run: what was asked, its result, history, attempts and timing."""

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hpcjobs.errors import UserError
from hpcjobs.jobs import data_jobs, find, names
from hpcjobs.report.kinds import Curve, Figure, Line, Material
from hpcjobs.report.page import LONGEST, Grid, Section, Snippet
from hpcjobs.report.reading import Arrays, below
from hpcjobs.settings import Field, fields, flag

Story = Mapping[str, Any]
# What a job may raise when it describes a result that it did not write.
ODD = (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError)
MOST_CURVES = 4
MOST_POINTS = 2000


def installed(name: str) -> Any:
    """The job of that name if it is installed, else None: no file may make us run code that it names."""
    try:
        return find(name) if name in (*names(), *data_jobs()) else None
    except UserError:
        return None


def asked(story: Story) -> Section:
    """The command to repeat it, and every setting with its meaning."""
    declared = _declared(story["job"])
    words = command(story, declared)
    snippets = [Snippet("The command to repeat it", [words])] if words else []
    grid = settings(story["job"], story["settings"])
    grids = [grid] if grid.rows else []
    return Section("What was asked", facts=[("job", story["job"])], snippets=snippets, grids=grids)


def settings(job: str, values: Mapping[str, Any]) -> Grid:
    """Settings with their meaning."""
    declared = _declared(job)
    rows = [
        (
            flag(name),
            value_of(value) + ("" if value is None or _given(name, value, declared) else " (by default)"),
            _meaning(name, declared),
        )
        for name, value in values.items()
    ]
    return Grid("Settings in force", ("setting", "value", "meaning"), rows)


def _declared(job: str) -> dict[str, Field]:
    found = installed(job)
    return fields(found.Settings) if found else {}


def command(story: Story, declared: Mapping[str, Field]) -> str:
    """The command line that asks for the same; "" where there is none that fits on a page."""
    if story["job"] in data_jobs():
        return ""
    words = ["hpcjobs", "run", str(story["job"])]
    for name, value in story["settings"].items():
        if not _given(name, value, declared):
            continue
        if isinstance(value, bool):
            words.append(flag(name) if value else "--no-" + flag(name)[2:])
            continue
        for one in value if isinstance(value, list) else [value]:
            words += [f"{flag(name)}={one}"] if str(one).startswith("-") else [flag(name), str(one)]
    ranks = story["attempts"][-1].get("ranks", 1) if story["attempts"] else 1
    words += ["-n", str(ranks)] if ranks != 1 else []
    said = shlex.join(words)
    return said if len(said) <= LONGEST and said.isprintable() else ""


def _given(name: str, value: Any, declared: Mapping[str, Field]) -> bool:
    """Whether a setting is another than what it would have been unasked."""
    default = declared[name][2] if name in declared else None
    return value is not None and value != (None if default is msgspec.NODEFAULT else default)


def _meaning(name: str, declared: Mapping[str, Field]) -> str:
    return declared[name][1].description or "" if name in declared else ""


def value_of(value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return "not given"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.10g}"
    return ", ".join(value_of(one) for one in value) if isinstance(value, list) else str(value)


def result(story: Story, listed: Sequence[Mapping[str, Any]]) -> Section:
    """What the job says of its result, and each of its data sets; `listed` is what `data inspect` tells of the file."""
    facts = described(story)
    if story["digest"]:
        facts.append(("result digest", story["digest"]))
    rows = [
        (
            entry["path"],
            " x ".join(str(length) for length in entry["shape"]) or value_of(story["result"].get(entry["path"][8:])),
            entry["dtype"].replace("|S", "text of "),
            entry["long_name"] or "",
        )
        for entry in listed
        if entry["path"].startswith("/result/") and entry["shape"] is not None and not is_index(entry)
    ]
    text = () if rows else ("There is no result yet.",)
    grids = [Grid("Data sets of the result", ("data set", "shape or value", "type", "meaning"), rows)] if rows else []
    return Section("Result", text=text, facts=facts, grids=grids)


def is_index(entry: Mapping[str, Any]) -> bool:
    """Whether a data set only counts along an axis, which nobody needs to be told."""
    return str(entry["long_name"] or "") == f"index of {entry['path'].rpartition('/')[2]}"


def described(story: Story) -> list[tuple[str, str]]:
    """What the job itself says of its result."""
    describe = getattr(installed(story["job"]), "describe", None)
    if not story["result"] or describe is None:
        return []
    try:
        return [(str(key), str(value)) for key, value in describe(story["result"]).items()]
    except ODD:
        return []


def figures(story: Story, material: Material) -> list[Figure]:
    """What the job shows of itself; of other jobs, the course of what was logged."""
    draw = getattr(installed(story["job"]), "figures", None)
    if draw is not None:
        try:
            return list(draw(material))
        except ODD:
            pass
    return logged(material.history)


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
    if seconds is None or phases is None or seconds.ndim != 2 or seconds.size == 0 or len(phases) != seconds.shape[1]:
        return []
    rows = [(_word(phase), *spread(column)) for phase, column in zip(phases, seconds.T, strict=True)]
    rows.append(("all", *spread(seconds.sum(axis=1))))
    title = f"Seconds of the last attempt, over {len(seconds)} rank{'s' * (len(seconds) > 1)}"
    return [Grid(title, ("phase", "least", "mean", "most"), rows)]


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
