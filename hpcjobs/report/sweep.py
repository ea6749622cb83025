"""The page of a sweep: its tasks, and how their scores depend on what was swept."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from hpcjobs.errors import DataError
from hpcjobs.launch.sweep import Sweep
from hpcjobs.launch.watch.truth import Verdict, look
from hpcjobs.report.kinds import Curve, Figure, Line
from hpcjobs.report.page import Grid, Page, Section
from hpcjobs.report.runs import made
from hpcjobs.report.sections import measures, value_of
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.story import tell

MOST_TASKS = 500


@dataclass(frozen=True)
class Scored:
    """One task: what it does not share with the others, how it ended, and its score, None without a result."""

    folder: str
    settings: Mapping[str, Any]
    state: str
    reason: str
    measure: str
    score: float | None


def of_sweep(path: Path, sweep: Sweep) -> Page:
    """The page of a sweep folder; of a large one its first tasks."""
    tasks = sweep.tasks[:MOST_TASKS]
    verdicts = look([path / task.folder for task in tasks])
    scored = [_scored(task.folder, task.settings, one) for task, one in zip(tasks, verdicts, strict=True)]
    states = Counter(one.state for one in scored)
    done, whole = states["done"], len(sweep.tasks)
    verdict = f"{len(scored)} tasks: " + ", ".join(f"{count} {state}" for state, count in states.most_common())
    text = [f"Sweep folder {path}."]
    if whole > len(scored):
        text.append(f"This page tells of the first {len(scored)} of {whole} tasks.")
    lost = states["failed"] + states["killed"] + states["lost"]
    tone = "good" if done == len(scored) else "bad" if lost else "open"
    swept = list(dict.fromkeys(name for one in scored for name in one.settings))
    curves = score_curves(scored, swept)
    parts = [Section("Scores", figures=curves)] if curves else []
    best = [one for one in scored if one.score is not None]
    if best:
        first = min(best, key=lambda one: one.score or 0.0)
        facts = [(f"least {first.measure}", f"{first.score:.6g} in {first.folder}")]
        facts += [(name, value_of(value)) for name, value in first.settings.items()]
        parts.append(Section("Least score", facts=facts))
    parts.append(Section("Tasks", grids=[_table(scored, swept)]))
    title = f"{sweep.job}: a sweep over {' and '.join(swept)}"
    return Page(title, f"{sweep.name or path.name}, sweep", verdict, tone, parts, made(), text)


def score_curves(scored: Sequence[Scored], swept: Sequence[str]) -> list[Figure]:
    """The score against each swept number of several values; a line leads through the medians."""
    found: list[Figure] = []
    for name in swept:
        points = [
            (float(one.settings[name]), one.score, one.measure)
            for one in scored
            if one.score is not None and _number(one.settings.get(name))
        ]
        values = sorted({x for x, _, _ in points})
        if len(values) < 2:
            continue
        middle = [median(score for x, score, _ in points if x == value) for value in values]
        lines = [Line(values, middle)]
        several = len(points) > len(values)
        if several:
            for column in zip(*(_spread(points, value) for value in values), strict=True):
                lines.append(Line(values, column, faint=True))
        words, measure = name.replace("_", " "), points[0][2].replace("_", " ")
        told = (
            f"{measure} is {middle[0]:.6g} at {words} {values[0]:.6g} and {middle[-1]:.6g} at {words} {values[-1]:.6g}"
        )
        caption = f"{told}; one point is a task" if not several else f"{told}; medians, with least and most in grey"
        title = f"{measure.capitalize()} against {words}"
        found.append(Curve(title, f"{caption}.", f"Line chart: {told}.", lines, words, measure, points=True))
    return found


def _spread(points: Sequence[tuple[float, float, str]], value: float) -> tuple[float, float]:
    """Least and most score of the tasks with one value."""
    scores = [score for x, score, _ in points if x == value]
    return min(scores), max(scores)


def _scored(folder: str, settings: Mapping[str, Any], verdict: Verdict) -> Scored:
    """The score is what the job logs first: as its result has it, else as it was logged last."""
    path = RunFolder(verdict.run).result
    measure, score = "", None
    if verdict.state == "done":
        try:
            story = tell(path)
        except DataError as error:
            return Scored(folder, settings, "unreadable", str(error), "", None)
        logged = measures(story["history"])
        measure = next(iter(logged), "")
        value = story["result"].get(measure, logged[measure][-1] if logged else None)
        score = float(value) if _number(value) else None
    return Scored(folder, settings, verdict.state, verdict.reason, measure, score)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _table(scored: Sequence[Scored], swept: Sequence[str]) -> Grid:
    measure = next((one.measure for one in scored if one.measure), "score")
    rows = [
        (
            one.folder,
            *(value_of(one.settings.get(name)) for name in swept),
            one.state,
            "" if one.score is None else f"{one.score:.10g}",
            one.reason if one.state != "done" else "",
        )
        for one in scored
    ]
    header = ("task", *(name.replace("_", " ") for name in swept), "state", measure.replace("_", " "), "reason")
    return Grid("Tasks", header, rows)
