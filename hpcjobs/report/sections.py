"""The parts of a page that tell what was asked of a run, and what came of it."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from hpcjobs.jobs import installed, verbs
from hpcjobs.report.course import Story, logged
from hpcjobs.report.kinds import Figure, Material
from hpcjobs.report.page import LONGEST, Grid, Section, Snippet
from hpcjobs.settings import Field, fields, flag, written

# What a job may raise when it describes a result that it did not write.
ODD = (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError)


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
            _told(name, value, declared) + ("" if value is None or _given(name, value, declared) else " (by default)"),
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
    if story["job"] in verbs():
        return ""
    words = ["hpcjobs", "run", str(story["job"])]
    for name, value in story["settings"].items():
        if not _given(name, value, declared):
            continue
        if name in declared and (declared[name][1].extra or {}).get("kind") == "table":
            return ""
        if isinstance(value, bool):
            words.append(flag(name) if value else "--no-" + flag(name)[2:])
            continue
        if isinstance(value, dict):
            words += [flag(name), _told(name, value, declared)]
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
    return value is not None and value != (None if default is msgspec.NODEFAULT else msgspec.to_builtins(default))


def _told(name: str, value: Any, declared: Mapping[str, Field]) -> str:
    """A setting as people read it, and as a flag takes it: of a table what is not there by default."""
    if isinstance(value, dict) and name in declared and isinstance(declared[name][2], msgspec.Struct):
        return written(value, declared[name][2]) or "nothing"
    return value_of(value)


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


def own(story: Story, result: Mapping[str, Any]) -> list[Section]:
    """Sections that the job itself has to tell; none where its result cannot be understood."""
    tell = getattr(installed(story["job"]), "sections", None)
    if not result or tell is None:
        return []
    try:
        return list(tell(story, result))
    except ODD:
        return []


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


def figures(story: Story, material: Material) -> tuple[list[Figure], str]:
    """What the job shows of itself, of other jobs the course of what was logged; and why the job cannot, if so."""
    draw, why = getattr(installed(story["job"]), "figures", None), ""
    if draw is not None:
        try:
            return list(draw(material)), ""
        except ODD as error:
            why = f"The job's own figures cannot be made of this file: {type(error).__name__}: {error}."
    return logged(material.history), why
