"""What a CNN run tells of itself on a page in words: how each class fares, and a card of the model."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.nn.measures import area, rankings, reliability, scores
from hpcjobs.nn.network import told
from hpcjobs.report.page import Grid, Section

Arrays = Mapping[str, NDArray[Any]]
BLANK = "____________ (for its authors to fill in)"
NUMBERS = ("weights", "bias", "scale", "offset")
PACKAGES = ("hpcjobs", "python", "numpy", "scipy", "numba", "h5py")
MOST_CLASSES = 200


def sections(story: Mapping[str, Any], result: Arrays) -> Iterator[Section]:
    """The table of classes, where images were validated, and the model card of a finished run."""
    truth, shares = result.get("truth"), result.get("probabilities")
    if truth is not None and shares is not None and "confusion" in result:
        yield Section("Each class", grids=[each_class(truth, shares, result)])
    if "network" in result:
        yield Section("Model card", facts=card(story, result))


def names_of(result: Arrays, classes: int) -> list[str]:
    """What classes are called, else their numbers."""
    names = result.get("class_name")
    if names is None or len(names) != classes:
        return [str(number) for number in range(classes)]
    return [name.decode(errors="replace") for name in names.tolist()]


def each_class(truth: NDArray[Any], shares: NDArray[Any], result: Arrays) -> Grid:
    """Precision, recall, F1 and the area under the ROC curve on the images to validate on."""
    counts = result["confusion"]
    found = scores(counts)
    areas = [area(one) for one in rankings(truth, shares)]
    rows = [
        (name, support, *(f"{value:.4g}" if np.isfinite(value) else "" for value in values))
        for name, support, *values in zip(
            names_of(result, len(counts)), found.support.tolist(), found.precision, found.recall, found.f1, areas,
            strict=True,
        )
    ]  # fmt: skip
    more = f", the first {MOST_CLASSES} of {len(rows)}" if len(rows) > MOST_CLASSES else ""
    header = ("class", "images", "precision", "recall", "F1", "area under ROC")
    return Grid(f"On the validation images{more}", header, rows[:MOST_CLASSES])


def card(story: Mapping[str, Any], result: Arrays) -> list[tuple[str, Any]]:
    """What a reader must know before the model is used; what no run can know is left blank."""
    facts = json.loads(np.asarray(result["network"]).item())
    count = sum(array.size for name, array in result.items() if _is_parameter(name))
    settings = {name: value for name, value in story["settings"].items() if value not in (None, "", [], {})}
    found = [
        ("model", f"network of {len(facts['layers'])} layers and {count} parameters"),
        ("takes", f"images of {told(facts['images'])}"),
        ("tells apart", ", ".join(names_of(result, facts["classes"])) if facts["loss"] != "mse" else "numbers"),
    ]
    for number, one in enumerate(story["inputs"]):
        found.append(("data" if not number else "", f"{one['name']}, {one['rows']} rows, digest {one['digest']}"))
    if "accuracy" in result and "truth" in result and "probabilities" in result:
        shares = result["probabilities"]
        off = reliability(shares.argmax(axis=1) == result["truth"], shares.max(axis=1)).error()
        found.append(
            (
                "validated",
                f"accuracy {float(result['accuracy']):.4f} on {len(shares)} images, "
                f"expected calibration error {off:.4f}",
            )
        )
    found += [
        ("settings", ", ".join(f"{name.replace('_', ' ')} {_short(value)}" for name, value in settings.items())),
        ("result digest", story["digest"]),
        ("run", f"{story['run_uuid']}, {story['created']}"),
        ("versions", ", ".join(f"{name} {story['software'][name]}" for name in PACKAGES if name in story["software"])),
    ]
    return [*found, *((name, BLANK) for name in ("intended use", "not to be used for", "limits", "people in the data"))]


def _is_parameter(name: str) -> bool:
    return name.startswith("parameters/") and name.rpartition("_")[2] in NUMBERS


def _short(value: Any) -> str:
    """A setting in a few signs."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
