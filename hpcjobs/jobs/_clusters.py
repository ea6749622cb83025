"""What the jobs that cluster show of themselves on a page: plain descriptions, drawn by `hpcjobs report`."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hpcjobs.report.kinds import MOST_NUMBERED, Bars, Curve, Figure, Images, Line, Material, Scatter
from hpcjobs.report.projection import project

MOST_IMAGES = 100
SCORES = ("score_", "scores_")


def figures(material: Material) -> Iterator[Figure]:
    """Inertia while it ran, scores, cluster sizes, a plane with the clusters in it, and centres that are images."""
    yield from inertia(material)
    yield from scores(material)
    yield from sizes(material)
    yield from plane(material)
    yield from images(material)


def inertia(material: Material) -> Iterator[Figure]:
    """One line for each start, the best one in front; where several numbers of clusters were tried, one for each."""
    steps, history = material.history.get("step", []), material.history
    several = {name: values for name, values in history.items() if name.startswith("inertia_")}
    if several:
        lines = [Line(steps, values, f"{name.partition('_')[2]} clusters") for name, values in several.items()]
        told = f"inertia of {len(several)} numbers of clusters in {len(steps)} iterations"
        caption = f"The {told}, over all starts."
        yield Curve("Inertia", caption, f"Line chart: {told}.", lines, "iteration", "inertia")
    values = history.get("inertia", [])
    if not steps or len(steps) != len(values):
        return
    starts = material.history.get("start", [0.0] * len(steps))
    best, word = material.result.get("start", np.array(starts[-1])), "best" if "start" in material.result else "last"
    drawn: list[Line] = []
    for start in dict.fromkeys(starts):
        own_values = [value for value, own in zip(values, starts, strict=True) if own == start]
        name = f"start {start:.0f}, the {word}" if start == best and len(set(starts)) > 1 else ""
        drawn.append(Line(range(1, len(own_values) + 1), own_values, name, faint=bool(start != best)))
    course = next((line.y for line in drawn if not line.faint), drawn[-1].y)
    told = f"inertia falls from {course[0]:.6g} to {course[-1]:.6g} in {len(course)} iterations"
    others = f"; other starts in grey ({len(drawn) - 1})" if len(drawn) > 1 else ""
    yield Curve("Inertia", f"The {told}{others}.", f"Line chart: {told}.", drawn, "iteration", "inertia")


def scores(material: Material) -> Iterator[Figure]:
    """Each score against the number of clusters, where a result has tried several."""
    clusters = next(
        (material.result[name + "clusters"] for name in SCORES if name + "clusters" in material.result), None
    )
    if clusters is None or clusters.ndim != 1 or len(clusters) < 2:
        return
    order = np.argsort(clusters)
    for name, values in material.result.items():
        measure = name.partition("_")[2].replace("_", " ")
        if not name.startswith(SCORES) or measure == "clusters" or values.shape != clusters.shape:
            continue
        line = Line(clusters[order].tolist(), values[order].astype(np.float64).tolist())
        told = f"{measure} of {len(clusters)} numbers of clusters, {clusters.min()} to {clusters.max()}"
        title = f"{measure.capitalize()} against clusters"
        yield Curve(title, f"The {told}.", f"Line chart: {told}.", [line], "clusters", measure, points=True)


def sizes(material: Material) -> Iterator[Figure]:
    """How many rows each cluster has."""
    counts = material.result.get("counts")
    if counts is None or counts.ndim != 1 or not len(counts):
        return
    told = f"{len(counts)} clusters of {counts.min()} to {counts.max()} rows"
    yield Bars("Cluster sizes", f"{told.capitalize()}.", f"Bar chart: {told}.", counts, "cluster", "rows")


def plane(material: Material) -> Iterator[Figure]:
    """Rows and centres along the two directions in which the rows (without them, the centres) vary most."""
    centres, labels = material.result.get("centres"), material.result.get("labels")
    if centres is None or centres.ndim != 2:
        return
    rows, picked = material.rows, material.picked
    seen = rows is not None and picked is not None and rows.shape[1] == centres.shape[1] and labels is not None
    if seen and labels is not None and rows is not None and picked is not None and picked[-1] < len(labels):
        flat, groups, what = project(rows), labels[picked], "rows"
    else:
        flat, groups, what = project(centres), np.empty(0, dtype=np.int64), "centres"
    if flat is None:
        return
    points = flat.points if what == "rows" else np.empty((0, 2))
    groups = groups[flat.kept] if what == "rows" else groups
    told = f"{len(flat.points)} {what} along the two directions in which they vary most"
    marks = "numbers stand at the centres" if len(centres) <= MOST_NUMBERED else "dark points are the centres"
    colour = f", coloured by cluster; {marks}" if what == "rows" else f"; {marks}"
    caption = f"{told} ({flat.share:.0%} of their variance){colour}."
    alt = f"Scatter plot: {told}, with {len(centres)} centres."
    yield Scatter("Projection", caption, alt, points, groups, flat.place(centres), *flat.labels)


def images(material: Material) -> Iterator[Figure]:
    """Each centre as the image that its features are, the largest clusters where there are many."""
    centres, shape = material.result.get("centres"), material.image
    if centres is None or not shape or centres.ndim != 2 or centres.shape[1] != np.prod(shape):
        return
    shown = _largest(material.result.get("counts"), len(centres))
    some = "all centres" if len(shown) == len(centres) else f"the centres of the {len(shown)} largest clusters"
    pictures = centres[shown].reshape(len(shown), *shape)
    if len(shape) == 3 and shape[2] == 1:
        pictures = pictures[..., 0]  # (shown, height, width)
    if not np.isfinite(pictures).all():
        return
    told = f"{some} as images of {' x '.join(str(length) for length in shape)}"
    caption = f"{told[0].upper()}{told[1:]}, from black ({pictures.min():.4g}) to white ({pictures.max():.4g})."
    yield Images("Centres as images", caption, f"Small images: {told}.", pictures, [str(number) for number in shown])


def _largest(counts: NDArray[np.int64] | None, clusters: int) -> NDArray[np.int64]:
    """The numbers of the clusters to show, in order."""
    if counts is None or len(counts) != clusters or clusters <= MOST_IMAGES:
        return np.arange(min(clusters, MOST_IMAGES))
    return np.sort(np.argsort(-counts, kind="stable")[:MOST_IMAGES])
