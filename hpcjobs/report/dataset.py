"""The page of a data set of ours: what it holds, and a look at its rows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hpcjobs.errors import DataError
from hpcjobs.report import origin
from hpcjobs.report.kinds import Bars, Figure, Images, Scatter
from hpcjobs.report.page import Grid, Page, Section
from hpcjobs.report.projection import project
from hpcjobs.report.reading import Arrays, Sample, arrays, below, find, image_shape, sample
from hpcjobs.report.runs import made

# More different targets than this are no classes.
MOST_CLASSES = 100
SHOWN_IMAGES = 24


def of_dataset(path: Path, described: Mapping[str, Any], shape: str | None) -> Page:
    """The page of a file of ours that no run has written; `described` is what `data inspect` tells of it."""
    listed = described["datasets"]
    some, name = Sample(why="it holds no /data/x"), f"{path}:/data/x"
    if any(entry["path"] == "/data/x" for entry in listed):
        try:
            some = sample(*find(name))
        except DataError as error:
            some = Sample(why=str(error))
    image = image_shape(shape, some.image, None if some.rows is None else some.rows.shape[1])
    drawn = figures(some, below(arrays(path), "data"), image)
    text = (f"No rows are shown: {some.why}.",) if some.why else ()
    rows = [
        (
            entry["path"],
            " x ".join(str(length) for length in entry["shape"] or ()) or "one value",
            entry["dtype"].replace("|S", "text of "),
            entry.get("problem") or entry["long_name"] or "",
        )
        for entry in listed
    ]
    facts = [(key, described[key]) for key in ("source", "created", "size", "file_digest") if described[key]]
    facts = [(key.replace("_", " "), f"{value} bytes" if key == "size" else value) for key, value in facts]
    parts = [
        Section("What it holds", facts=facts, grids=[Grid("Data sets", ("data set", "shape", "type", "meaning"), rows)])
    ]
    parts += [Section("Figures", text=text, figures=drawn)] if drawn or text else []
    title = str(described["title"] or path.name)
    parts.append(origin.opening(path, listed, "data"))
    parts.append(
        origin.citing(title, described["created"], origin.Cited("File digest", described["file_digest"] or ""))
    )
    whole = "A data set, complete." if described["complete"] else "A data set that was not completed."
    checked = "What this page shows was read from blocks that match the digests kept in the file."
    tone = "good" if described["complete"] else "open"
    return Page(title, f"{described['kind']} file", whole, tone, parts, made(), (checked,))


def figures(some: Sample, data: Arrays, image: tuple[int, ...]) -> list[Figure]:
    """Rows along the two directions in which they vary most, rows as images, and how many rows each class has."""
    found: list[Figure] = []
    classes = _classes(data)
    if some.rows is not None and some.picked is not None:
        groups = np.full(len(some.picked), -1)
        if classes is not None and len(classes[1]) > some.picked[-1]:
            groups = classes[1][some.picked]
        flat = project(some.rows)
        if flat is not None:
            told = f"{int(flat.kept.sum())} rows along the two directions in which they vary most"
            share = f"{flat.share:.0%} of their variance"
            coloured = "coloured by /data/y" if (groups >= 0).any() else "evenly spaced over the file"
            caption = f"{told} ({share}), {coloured}."
            found.append(
                Scatter(
                    "Rows",
                    caption,
                    f"Scatter plot: {told}.",
                    flat.points,
                    groups[flat.kept],
                    np.empty((0, 2)),
                    *flat.labels,
                )
            )
        if image:
            step = max(1, len(some.rows) // SHOWN_IMAGES)
            shown = some.rows[::step][:SHOWN_IMAGES].reshape(-1, *image)
            names = [str(row) for row in some.picked[::step][:SHOWN_IMAGES]]
            caption = f"{len(shown)} rows, evenly spaced over the file, by their numbers."
            found.append(Images("Rows as images", caption, f"{len(shown)} small images.", shown, names))
    if classes is not None:
        counts = np.bincount(classes[1], minlength=len(classes[0]))
        told = f"{len(counts)} classes of {counts.min()} to {counts.max()} rows"
        found.append(
            Bars(
                "Rows of each class",
                f"{told}, in the order of their values.",
                f"Bar chart: {told}.",
                counts,
                "class",
                "rows",
            )
        )
    return found


def _classes(data: Arrays) -> tuple[Any, Any] | None:
    """The different values of /data/y and the number of each row's, where they are few whole numbers."""
    target = data.get("y")
    if target is None or target.ndim != 1 or target.dtype.kind not in "iu" or not len(target):
        return None
    values, numbers = np.unique(target, return_inverse=True)
    return (values, numbers) if len(values) <= MOST_CLASSES else None
