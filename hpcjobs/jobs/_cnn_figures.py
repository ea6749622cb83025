"""What a CNN run shows of itself on a page: learning curves and the confusion matrix."""

from collections.abc import Iterator

import numpy as np

from hpcjobs.jobs._cnn_card import names_of
from hpcjobs.nn.measures import reliability
from hpcjobs.report.kinds import Curve, Figure, Images, Line, Material

MOST_POINTS = 200
MOST_NAMED = 20


def figures(material: Material) -> Iterator[Figure]:
    """Loss and accuracy of training and validation, who was taken for whom, reliability, and the worst mistakes."""
    for name in ("loss", "accuracy"):
        yield from curve(material, name)
    yield from confusion(material)
    yield from calibration(material)
    yield from mistakes(material)


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


def calibration(material: Material) -> Iterator[Figure]:
    """How often the network is right, by how sure it says it is."""
    truth, shares = material.result.get("truth"), material.result.get("probabilities")
    if truth is None or shares is None or not len(shares):
        return
    bins = reliability(shares.argmax(axis=1) == truth, shares.max(axis=1))
    there = bins.rows > 0
    lines = [
        Line([0.0, 1.0], [0.0, 1.0], "as sure as right", faint=True),
        Line(bins.confidence[there].tolist(), bins.accuracy[there].tolist(), "the network"),
    ]
    told = f"expected calibration error {bins.error():.4f} on {len(shares)} images"
    alt = f"Line chart of the share of right answers by their probability: {told}."
    yield Curve("Reliability", f"{told[0].upper()}{told[1:]}.", alt, lines, "probability of the answer", "share right",
                points=True)  # fmt: skip


def mistakes(material: Material) -> Iterator[Figure]:
    """The worst mistakes as pictures: what each is, what it was taken for, and how surely."""
    found = material.result
    images, rows = found.get("worst_image"), found.get("worst_row")
    truth, shares = found.get("truth"), found.get("probabilities")
    if images is None or rows is None or truth is None or shares is None or images.shape[3] not in (1, 3):
        return
    names, said = names_of(found, shares.shape[1]), shares[rows]
    titles = [
        f"{names[is_]} as {names[label]} {share:.2f}"
        for is_, label, share in zip(truth[rows].tolist(), said.argmax(axis=1).tolist(), said.max(axis=1), strict=True)
    ]
    ids = [id_.decode(errors="replace") if isinstance(id_, bytes) else str(id_) for id_ in found["id"][rows].tolist()]
    caption = f"What it is, what it was taken for, and the probability of that; ids {', '.join(ids)}."
    shown = images[..., 0] if images.shape[3] == 1 else images
    yield Images("Worst mistakes", caption, f"Images: {'; '.join(titles)}.", shown.astype(np.float64), titles)
