"""The page of a sweep: its tasks, and how their scores depend on what was swept."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from hpcjobs.errors import DataError, RunFolderError
from hpcjobs.launch.watch.truth import Verdict, look
from hpcjobs.report.course import measures
from hpcjobs.report.kinds import Curve, Figure, Line
from hpcjobs.report.page import Grid, Page, Section
from hpcjobs.report.runs import made
from hpcjobs.report.sections import settings, value_of
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.story import tell
from hpcjobs.runs.sweeps import Sweep
from hpcjobs.settings import flag

MOST_TASKS = 500
BAD = ("failed", "killed", "lost", "out of memory", "node failure", "unreadable")


@dataclass(frozen=True)
class Scored:
    """One task: what it does not share with the others, how it ended, and its score, None without a result."""

    folder: str
    settings: Mapping[str, Any]
    state: str
    measure: str = ""
    score: float | None = None


def of_sweep(path: Path, sweep: Sweep) -> Page:
    """The page of a sweep folder; of a large one its first tasks."""
    tasks = sweep.tasks[:MOST_TASKS]
    verdicts = look([path / task.folder for task in tasks])
    scored = [_scored(task.folder, task.settings, one) for task, one in zip(tasks, verdicts, strict=True)]
    states = Counter(one.state.partition(":")[0] for one in scored)
    counted = ", ".join(f"{count} {state}" for state, count in states.most_common())
    text = [f"Sweep folder {path}."]
    if len(sweep.tasks) > len(scored):
        text.append(f"This page tells of the first {len(scored)} of {len(sweep.tasks)} tasks.")
    tone = "good" if states["done"] == len(scored) else "bad" if any(states[state] for state in BAD) else "open"
    swept = list(dict.fromkeys(name for one in scored for name in one.settings))
    parts = [_asked(path, sweep, swept)]
    ranked = sorted((one for one in scored if one.score is not None), key=lambda one: one.score or 0.0)
    if ranked:
        facts = [_extreme("least", ranked[0]), _extreme("most", ranked[-1])]
        parts.append(Section("Scores", facts=facts, figures=score_curves(scored, swept)))
    parts.append(Section("Tasks", grids=[_table(scored, swept)]))
    title = f"{sweep.job}: a sweep over {' and '.join(swept)}"
    kind = f"{sweep.name or path.name}, sweep"
    return Page(title, kind, f"{len(scored)} tasks: {counted}", tone, parts, made(), text)


def score_curves(scored: Sequence[Scored], swept: Sequence[str]) -> list[Figure]:
    """The score against each swept number of several values; a line leads through the medians.

    A seed that is swept beside others is a repetition, and no axis.
    """
    found: list[Figure] = []
    for name in swept:
        by_value: dict[float, list[float]] = {}
        for one in scored:
            if one.score is not None and _number(one.settings.get(name)):
                by_value.setdefault(float(one.settings[name]), []).append(one.score)
        values = sorted(by_value)
        if len(values) < 2 or (name == "seed" and len(swept) > 1):
            continue
        middle = [median(by_value[value]) for value in values]
        lines, mark = [Line(values, middle)], "one point is a task"
        if any(len(scores) > 1 for scores in by_value.values()):
            lines += [Line(values, [edge(by_value[value]) for value in values], faint=True) for edge in (min, max)]
            mark = "medians, with least and most in grey"
        words = name.replace("_", " ")
        measure = next(one.measure for one in scored if one.score is not None).replace("_", " ")
        ends = [f"{score:.6g} at {words} {value:g}" for value, score in zip(values, middle, strict=True)]
        told = f"{measure} is {ends[0]} and {ends[-1]}"
        title = f"{measure.capitalize()} against {words}"
        alt = f"Line chart: {told}."
        found.append(Curve(title, f"The {told}; {mark}.", alt, lines, words, measure, points=True))
    return found


def _asked(path: Path, sweep: Sweep, swept: Sequence[str]) -> Section:
    """What all tasks share, and the values that were swept."""
    facts = [("job", sweep.job)]
    for name in swept:
        values = dict.fromkeys(value_of(task.settings.get(name)) for task in sweep.tasks)
        facts.append((f"{flag(name)}, swept", ", ".join(values)))
    try:
        shared = RunFolder(path / sweep.tasks[0].folder).read_settings()["settings"] if sweep.tasks else {}
    except RunFolderError:
        shared = {}
    grid = settings(sweep.job, {name: value for name, value in shared.items() if name not in swept})
    return Section("What was asked", facts=facts, grids=[grid] if grid.rows else [])


def _extreme(word: str, one: Scored) -> tuple[str, str]:
    """The task with the least or most score, with its settings."""
    own = ", ".join(f"{name.replace('_', ' ')} {value_of(value)}" for name, value in one.settings.items())
    return f"{word} {one.measure}".replace("_", " "), f"{one.score:.10g} in {one.folder}: {own}"


def _scored(folder: str, own: Mapping[str, Any], verdict: Verdict) -> Scored:
    """The score is what the job logs first: as its result has it, else as it was logged last."""
    if verdict.state != "done":
        return Scored(folder, own, f"{verdict.state}: {verdict.reason}".rstrip(": "))
    try:
        story = tell(RunFolder(verdict.run).result)
    except DataError as error:
        return Scored(folder, own, f"unreadable: {error}")
    logged = measures(story["history"])
    measure = next(iter(logged), "")
    value = story["result"].get(measure, logged[measure][-1] if logged else None)
    return Scored(folder, own, verdict.state, measure, float(value) if _number(value) else None)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _table(scored: Sequence[Scored], swept: Sequence[str]) -> Grid:
    measure = next((one.measure for one in scored if one.measure), "score")
    rows = [
        (
            one.folder,
            *(value_of(one.settings.get(name)) for name in swept),
            "" if one.score is None else f"{one.score:.10g}",
            one.state,
        )
        for one in scored
    ]
    header = ("task", *(name.replace("_", " ") for name in swept), measure.replace("_", " "), "state")
    return Grid("What each task does not share with the others", header, rows)
