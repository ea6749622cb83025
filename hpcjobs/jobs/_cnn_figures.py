"""What a CNN run shows of itself on a page: learning curves and the confusion matrix."""

from collections.abc import Iterator

import numpy as np

from hpcjobs.report.kinds import Curve, Figure, Images, Line, Material

MOST_POINTS = 200
MOST_NAMED = 20


def figures(material: Material) -> Iterator[Figure]:
    """Loss and accuracy of training and validation, the learning rate, and who was taken for whom."""
    for name in ("loss", "accuracy"):
        yield from curve(material, name)
    yield from confusion(material)


def curve(material: Material, name: str) -> Iterator[Figure]:
    """A measure while it was trained: the mean of some steps each, and where it was validated."""
    steps, lines = material.history.get("step", []), []
    for column, told in ((name, "training"), (f"validation_{name}", "validation")):
        values = np.asarray(material.history.get(column, []), dtype=np.float64)
        if len(values) != len(steps) or not np.isfinite(values).any():
            continue
        pieces = np.array_split(np.arange(len(values)), min(MOST_POINTS, len(values)))
        kept = [piece for piece in pieces if np.isfinite(values[piece]).all()]
        lines.append(Line([steps[piece[-1]] for piece in kept], [float(values[piece].mean()) for piece in kept], told))
    if not lines or not len(lines[0].y):
        return
    course = "; ".join(f"{line.name} from {line.y[0]:.4g} to {line.y[-1]:.4g}" for line in lines if len(line.y))
    told = f"{name} in {len(steps)} steps: {course}"
    yield Curve(name.capitalize(), f"{told}.", f"Line chart: {told}.", lines, "step", name)


def confusion(material: Material) -> Iterator[Figure]:
    """Rows are the true classes, columns what the network said."""
    counts = material.result.get("confusion")
    if counts is None or counts.ndim != 2 or not counts.sum():
        return
    right = np.trace(counts) / counts.sum()
    told = f"{counts.sum()} images of {len(counts)} classes, {right:.1%} right"
    names = [name.decode(errors="replace") for name in material.result.get("class_name", np.array([])).tolist()]
    called = f" ({', '.join(names)})" if 0 < len(names) <= MOST_NAMED else ""
    caption = f"{told}{called}; rows are true classes, columns predicted ones, white is {counts.max()} images."
    yield Images("Confusion", caption, f"Confusion matrix: {told}.", counts[None].astype(np.float64), ["all"])
