"""The measures of a network on several rows, and the same of each group of them, with the gaps between groups."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.source import Reader, Source, locate_at, split_name
from hpcjobs.errors import DataError
from hpcjobs.nn.measures import overall, rankings, reliability
from hpcjobs.nn.resampling import MEASURES, intervals
from hpcjobs.parallel.communicator import Communicator

MOST_GROUPS = 1000
FEW = "too few to judge"


@dataclass(frozen=True)
class Rows:
    """What is known of some rows: truth (rows,), losses (rows,), probabilities (rows, classes)."""

    truth: NDArray[Any]
    losses: NDArray[np.float64]
    probabilities: NDArray[np.float64]

    def some(self, chosen: NDArray[np.bool_]) -> "Rows":
        return Rows(self.truth[chosen], self.losses[chosen], self.probabilities[chosen])


def measured(rows: Rows, numbers: bool) -> dict[str, float]:
    """The single numbers that are told of rows; of `numbers` (mse) only the loss."""
    found = {"rows": len(rows.truth), "loss": float(rows.losses.sum()) / len(rows.losses)}
    if numbers:
        return found
    labels = rows.probabilities.argmax(axis=1)
    values = overall(rows.truth, labels, rankings(rows.truth, rows.probabilities))
    calibration = reliability(labels == rows.truth, rows.probabilities.max(axis=1)).error()
    return found | dict(zip(MEASURES, values, strict=True)) | {"calibration_error": calibration}


def spans(rows: Rows, seed: int, samples: int, comm: Communicator) -> list[dict[str, Any]]:
    """95 % intervals of the measures. Collective."""
    ends = intervals(rows.truth, rows.probabilities, seed, samples, comm).tolist()
    return [{"measure": name, "low": low, "high": high} for name, (low, high) in zip(MEASURES, ends, strict=True)]


def read_groups(named: str, images: Source) -> NDArray[Any]:
    """The group (rows,) of each image: a data set FILE.h5:/path, or a column beside the images."""
    if ":/" in named or Path(named).exists():
        file, name = split_name(named)
    else:
        file, name = images.file, f"{images.name.rsplit('/', 1)[0]}/{named}"
    source = locate_at(file, name, range(1, 2), "fiuS")
    if source.dtype.kind == "f":
        raise DataError(f"--groups {source}: holds {source.dtype}; groups are whole numbers or texts")
    if source.rows != images.rows:
        raise DataError(f"--groups {source}: {source.rows} values for the {images.rows} images of {images}")
    values = np.empty(source.rows, dtype=source.dtype)
    with Reader(source) as reader:
        reader.read(0, values)
    count = len(np.unique(values))
    if count > MOST_GROUPS:
        raise DataError(f"--groups {source}: names {count} groups, at most {MOST_GROUPS} are compared; is it an id?")
    return values


def compared(
    rows: Rows, groups: NDArray[Any], fewest: int, numbers: bool, seed: int, samples: int, comm: Communicator
) -> dict[str, list[dict[str, Any]]]:
    """The measures of each group, and their gaps: the groups with the lowest and the highest value. Collective."""
    every = []
    for value in np.unique(groups):
        part = rows.some(groups == value)
        name = value.decode(errors="replace") if isinstance(value, bytes) else int(value)
        judged = len(part.truth) >= fewest
        own = measured(part, numbers)
        own = own if judged else dict.fromkeys(own, float("nan")) | {"rows": own["rows"]}
        one = {"group": name, **own}
        if not numbers and samples:
            ends = spans(part, seed, samples, comm)[0] if judged else {"low": float("nan"), "high": float("nan")}
            one |= {"accuracy_low": ends["low"], "accuracy_high": ends["high"]}
        every.append(one | {"note": "" if judged else FEW})
    return {"groups": every, "gaps": _gaps([one for one in every if not one["note"]])}


def _gaps(judged: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """How far the groups that can be judged are apart."""
    found = []
    for name in ("loss", *MEASURES, "calibration_error"):
        known = [one for one in judged if np.isfinite(one.get(name, np.nan))]
        if len(known) < 2:
            continue
        low, high = (pick(known, key=lambda one: one[name]) for pick in (min, max))
        found.append({"measure": name, "gap": high[name] - low[name], "lowest": low["group"], "highest": high["group"]})
    return found
