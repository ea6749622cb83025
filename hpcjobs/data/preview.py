"""A look at a data set: a contact sheet of image rows, or the distribution of each feature of a table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.choosing import shown
from hpcjobs.data.imageshape import image_shape
from hpcjobs.data.lookup import locate_samples
from hpcjobs.data.pictures import contact_sheet, histograms
from hpcjobs.data.publish import publish_bytes
from hpcjobs.data.samples import Column, Samples, reading, whole
from hpcjobs.data.table import refuse_existing
from hpcjobs.errors import DataError, SettingsError

MOST_IMAGES = 24
MOST_CHANGED = 4  # each of them in several versions
MOST_FEATURES = 12
# A table is looked at in so many runs of rows, spread evenly: few large reads show as much as many small ones.
RUNS, RUN_ROWS = 20, 1000


@dataclass(frozen=True)
class PreviewReport:
    """What a preview shows."""

    out: Path
    text: str

    def __str__(self) -> str:
        return f"{self.out}: {self.text}"


# Several versions of some images: (n, height, width, channels) and their rows (n,) to what each is called, and shows.
Versions = Callable[[NDArray[Any], NDArray[np.int64]], Mapping[str, NDArray[Any]]]


def preview(
    source: str,
    out: Path,
    rows: Sequence[int] = (),
    shape: str | None = None,
    *,
    versions: Versions | None = None,
    force: bool = False,
) -> PreviewReport:
    """Write a PNG of some rows of `/data/x`: `rows`, else evenly spread ones; `shape` (HxW) makes flat rows images.

    With `versions` the sheet has a line for each image.
    """
    if out.suffix.lower() != ".png":
        raise SettingsError(f"{out}: unknown kind of picture {out.suffix!r}; expected .png")
    refuse_existing(out, force)
    samples = locate_samples(source)
    if "x" not in samples.columns:
        raise DataError(f"{samples.file}: has no /data/x to look at; name the data set: {samples.file}:/path")
    column = samples.columns["x"]
    outside = [row for row in rows if not 0 <= row < samples.rows]
    if outside:
        raise SettingsError(f"--rows {outside[0]}: {samples.file} has rows 0 to {samples.rows - 1}")
    size = image_shape(str(samples.file), column.shape[1:], shape)
    if size is None:
        if versions:
            raise SettingsError(f"--augment is for images; {samples.file} holds a table, name their --shape HxWxC")
        if rows:
            raise SettingsError("--rows shows images; name their --shape HxW, or leave --rows out for a table")
        values = _spread(column)
        content = histograms(values, _feature_names(samples, values.shape[1]), samples.title)
        features = int(np.prod(column.shape[1:]))
        text = f"{values.shape[1]} of {features} features in {len(values)} of {samples.rows} rows"
    else:
        most = MOST_CHANGED if versions else MOST_IMAGES
        picked = list(rows) or [index * samples.rows // most for index in range(most)]
        picked = list(dict.fromkeys(picked))
        images = _rows(column, picked).reshape(len(picked), *size)
        captions = _captions(samples, picked)
        if versions:
            images, captions = _changed(versions, images, captions, picked)
        content, scale = contact_sheet(images, captions)
        text = f"{len(picked)} of {samples.rows} images of {' x '.join(map(str, size))} {column.dtype}{scale}"
    publish_bytes(out, content)
    return PreviewReport(out, text)


def _changed(
    versions: Versions, images: NDArray[Any], captions: list[str], picked: list[int]
) -> tuple[NDArray[Any], list[str]]:
    """Each image (n, height, width[, channels]) in all its versions, side by side, and what stands below them."""
    given = images if images.ndim == 4 else images[..., np.newaxis]
    found = versions(given, np.array(picked))
    told = [f"{caption}, {name}" if name else caption for caption in captions for name in found]
    side_by_side = np.stack(list(found.values()), axis=1)  # (n, versions, height, width, channels)
    return side_by_side.reshape(-1, *side_by_side.shape[2:]), told


def _rows(column: Column, picked: list[int]) -> NDArray[Any]:
    """Some rows, one after another."""
    found = np.empty((len(picked), *column.shape[1:]), dtype=column.dtype)
    with reading(column) as read:
        for place, row in enumerate(picked):
            read(row, found[place : place + 1])
    return found


def _spread(column: Column) -> NDArray[Any]:
    """Runs of rows, evenly spread, of the first features (rows, features)."""
    total = column.shape[0]
    step = total if total <= RUNS * RUN_ROWS else RUN_ROWS
    starts = range(1) if step == total else (index * (total - step) // (RUNS - 1) for index in range(RUNS))
    found = []
    with reading(column) as read:
        for start in starts:
            block = np.empty((step, *column.shape[1:]), dtype=column.dtype)
            read(start, block)
            found.append(block.reshape(step, -1)[:, :MOST_FEATURES])
    return np.concatenate(found)


def _captions(samples: Samples, picked: list[int]) -> list[str]:
    """The id of each row, and its class where it has one."""
    ids = [shown(value) for value in _rows(samples.columns["id"], picked)]
    target = samples.columns.get("y")
    if target is None or len(target.shape) != 1:
        return ids
    told = samples.others.get("/data/class_name")
    names = [shown(name) for name in whole(told)] if isinstance(told, Column) else []
    values = _rows(target, picked).tolist()
    classes = [names[value] if names and 0 <= value < len(names) else shown(value) for value in values]
    return [f"{own}: {known}" for own, known in zip(ids, classes, strict=True)]


def _feature_names(samples: Samples, count: int) -> list[str]:
    told = samples.others.get("/data/feature_name")
    names = [shown(name) for name in whole(told)] if isinstance(told, Column) else []
    return names[:count] if len(names) >= count else [f"feature {index}" for index in range(count)]
