"""What a page shows of a file beyond its story: small arrays, and some rows of what a run has read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data import safety
from hpcjobs.data.blocks import BlockFile
from hpcjobs.data.source import Reader, Source, locate, split_name
from hpcjobs.errors import DataError, SettingsError
from hpcjobs.runs.story import plain

Arrays = dict[str, NDArray[Any]]

# Larger arrays are told by their shape, and larger inputs are not read again for a picture.
LARGEST_BYTES = 2**26
LARGEST_INPUT = 2**28
MOST_ROWS = 2000
ROWS_AT_A_TIME = 2**16
IMAGE_AXES = (("row", "column"), ("row", "column", "channel"))


@dataclass(frozen=True)
class Sample:
    """Evenly spaced rows (sample, features) of an input, their numbers, and the shape of a row that is an image.

    Without rows, `why` says what stood in the way.
    """

    rows: NDArray[Any] | None = None
    picked: NDArray[Any] | None = None
    image: tuple[int, ...] = ()
    why: str = ""


def arrays(path: Path) -> Arrays:
    """Every array of a file of ours that is small enough for a page, by its full name."""
    found = {}
    with BlockFile(path) as raw, safety.open_hdf5(raw, path) as file, safety.parsing(path):
        for name, dataset in safety.datasets(file, path):
            if name.startswith("/state/") or (dataset.shape is not None and dataset.nbytes > LARGEST_BYTES):
                continue
            safety.check_dataset(dataset, path, name, raw.size)
            found[name] = np.asarray(dataset[()])
    return found


def below(found: Mapping[str, NDArray[Any]], group: str) -> Arrays:
    """The arrays of one group, by their own names."""
    start = f"/{group}/"
    return {name.removeprefix(start): array for name, array in found.items() if name.startswith(start)}


def text(found: Mapping[str, NDArray[Any]], name: str) -> str:
    """A scalar text; "" where it is missing."""
    return str(plain(found[name][()])) if name in found and found[name].ndim == 0 else ""


def sample_of_input(inputs: list[dict[str, Any]]) -> Sample:
    """Rows of the first input of a run, if they are still those that the run has read."""
    if not inputs:
        return Sample(why="the file does not tell what was read")
    entry = inputs[0]
    try:
        return _unchanged(str(entry["name"]), entry)
    except (DataError, OSError, ValueError, KeyError) as error:
        return Sample(why=f"the input cannot be read now: {error}")


def _unchanged(name: str, entry: Mapping[str, Any]) -> Sample:
    path, _ = split_name(name)
    if not path.is_file():
        return Sample(why=f"the input is not there any more: {path}")
    source, image = find(name)
    same = source.digest == entry["digest"]
    if str(entry["digest"]).startswith("rows:"):  # another program's file is known by its size and time
        same = (source.size, source.modified) == (entry["size"], entry["modified"])
    if not same:
        return Sample(why=f"the input has changed since: {path}")
    return sample(source, image)


def find(name: str) -> tuple[Source, tuple[int, ...]]:
    """Rows of any shape in a file, and the shape of one where its axes say that it is an image."""
    path, inner = split_name(name)
    with BlockFile(path) as raw, safety.open_hdf5(raw, path) as file, safety.parsing(path):
        dataset = safety.get(file, path, inner or "/data/x")
        axes = tuple((dim[0].name or "").rpartition("/")[2] if len(dim) else "" for dim in dataset.dims)
        shape = tuple(dataset.shape)
    if len(shape) < 2:
        raise DataError(f"{name}: has {len(shape)} axes {shape}, so no rows of several features")
    return locate(name, len(shape)), shape[1:] if axes[1:] in IMAGE_AXES else ()


def sample(source: Source, image: tuple[int, ...]) -> Sample:
    """At most MOST_ROWS rows, evenly spaced over the source."""
    if source.rows * source.row_bytes > LARGEST_INPUT:
        return Sample(image=image, why="the input is too large to be read again for a picture")
    step = -(-source.rows // min(MOST_ROWS, max(2, LARGEST_BYTES // (8 * max(1, source.row_bytes)))))
    with Reader(source) as reader:
        blocks, first = [], 0
        for block in reader.blocks(0, source.rows, ROWS_AT_A_TIME):
            blocks.append(block[-first % step :: step].reshape(-1, int(np.prod(block.shape[1:]))))
            first += len(block)
    rows = np.concatenate(blocks).astype(np.float64)
    return Sample(rows, np.arange(0, source.rows, step), image)


def image_shape(asked: str | None, known: tuple[int, ...], features: int | None) -> tuple[int, ...]:
    """The shape of a row that is an image, as the user says, else as the file does; SettingsError if it cannot be."""
    if asked is None:
        return known
    parts = asked.lower().split("x")
    if not (2 <= len(parts) <= 3 and all(part.isascii() and part.isdigit() and int(part) for part in parts)):
        raise SettingsError(f"--shape {asked!r}: expected HEIGHTxWIDTH or HEIGHTxWIDTHx3, such as 28x28")
    shape = tuple(int(part) for part in parts)
    if len(shape) == 3 and shape[2] not in (1, 3):
        raise SettingsError(f"--shape {asked!r}: has {shape[2]} channels; expected 1 (grey) or 3 (red, green, blue)")
    if features is None:
        raise SettingsError(f"--shape {asked!r}: there are no centres and no rows here that could be images")
    if int(np.prod(shape)) != features:
        raise SettingsError(
            f"--shape {asked!r}: makes {int(np.prod(shape))} values where a row has {features} features"
        )
    return shape
