"""A data set divided into files to train on, to test with and to validate with; rows keep their order."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.choosing import PARTS, Shares, choose, shown
from hpcjobs.data.lookup import locate_samples
from hpcjobs.data.recipe import Recipe
from hpcjobs.data.samples import Column, Samples, blocks_of, carried, whole
from hpcjobs.data.schema import Contents
from hpcjobs.data.shuffle import derived
from hpcjobs.data.source import split_name
from hpcjobs.data.table import Progress, refuse_existing
from hpcjobs.data.writing import write_file
from hpcjobs.errors import DataError
from hpcjobs.parallel.communicator import Communicator, SerialCommunicator, on_root
from hpcjobs.parallel.shards import piece

CLASSES_SHOWN = 20


@dataclass(frozen=True)
class Part:
    """One of the files that a split makes, and what is in it."""

    file: Path
    rows: int
    share: float
    groups: str  # "12 of patient", "" without --by
    classes: tuple[tuple[str, int], ...]  # rows of each class

    def __str__(self) -> str:
        text = f"{self.file}: {self.rows} rows ({100 * self.share:.1f} %)" + (f", {self.groups}" if self.groups else "")
        some = ", ".join(f"{name}: {count}" for name, count in self.classes[:CLASSES_SHOWN])
        more = f" and {len(self.classes) - CLASSES_SHOWN} more" if len(self.classes) > CLASSES_SHOWN else ""
        return text + (f"; rows by class: {some}{more}" if some else "")


def split(
    source: str,
    recipe: Recipe,
    folder: Path | None = None,
    *,
    communicator: Communicator | None = None,
    force: bool = False,
    progress: Progress = lambda done, total: None,
) -> list[Part]:
    """Write FILE-train.h5, FILE-test.h5 and perhaps FILE-validation.h5 to `folder` (None: beside FILE). Collective.

    `progress` hears (rows looked at, rows to look at) of this rank.
    """
    comm = communicator or SerialCommunicator()
    samples = on_root(comm, lambda: check(source, recipe, folder, force))
    part = np.empty(samples.rows, dtype=np.uint8)
    files = _files(source, folder)
    made = on_root(comm, lambda: _decide(samples, recipe, part, files))
    comm.bcast(part)
    share = piece(samples.rows, comm.size, comm.rank)
    attributes = derived(samples, f"hpcjobs data split {samples.file.name} {recipe}", comm)
    heard = 0

    def blocks(column: Column, number: int) -> Iterator[NDArray[Any]]:
        nonlocal heard
        start = share.start
        for block in blocks_of(column, share):
            yield block[part[start : start + len(block)] == number]
            start += len(block)
            heard += len(block)
            progress(heard, len(share) * len(samples.columns) * len(made))

    for number, target in made.items():
        before = int((part[: share.start] == number).sum())
        variables = {
            f"/data/{name}": column.variable(target.rows, before, partial(blocks, column, number))
            for name, column in samples.columns.items()
        } | carried(samples, comm.rank, comm.size)
        told = attributes | {"part": PARTS[number]}
        contents = Contents("input", f"{samples.title}, {PARTS[number]}", variables, attributes=told)
        write_file(target.file, contents, comm)
    return list(made.values())


def check(source: str, recipe: Recipe, folder: Path | None, force: bool) -> Samples:
    """Find every mistake that can be found without reading the rows."""
    samples = locate_samples(source)
    recipe.check(samples)
    for name in recipe.names:
        refuse_existing(_files(source, folder)[PARTS.index(name)], force)
    return samples


def _files(source: str, folder: Path | None) -> list[Path]:
    """The file of each part."""
    path = split_name(source)[0]
    return [(folder or path.parent) / f"{path.stem}-{part}.h5" for part in PARTS]


def _decide(samples: Samples, recipe: Recipe, part: NDArray[np.uint8], files: list[Path]) -> dict[int, Part]:
    """Fill in the part of each row, and say what the files will hold."""
    groups = None if recipe.by is None else whole(samples.values(recipe.by, "--by"))
    classes = _classes(samples)
    if recipe.test is not None:
        held = classes if recipe.stratify else None
        shares = Shares(recipe.test, recipe.validation)
        part[...] = choose(samples.rows, shares, recipe.seed, held, groups, recipe.by or "")
    else:
        part[...] = as_told(samples, recipe, groups)
    values, row_class = np.unique(np.zeros(0) if classes is None else classes, return_inverse=True)
    names = _class_names(samples, values)
    found = {}
    for number in np.unique(part):
        own = part == number
        counts = np.bincount(row_class[own], minlength=len(values)).tolist() if len(values) else []
        by = "" if groups is None else f"{len(np.unique(groups[own]))} groups by {recipe.by}"
        rows = int(own.sum())
        found[int(number)] = Part(files[number], rows, rows / samples.rows, by, tuple(zip(names, counts, strict=True)))
    return found


def as_told(samples: Samples, recipe: Recipe, groups: NDArray[Any] | None) -> NDArray[np.uint8]:
    """The part of each row as a column names it; a group in two parts is refused."""
    assert recipe.parts is not None
    words, row_word = np.unique(whole(samples.values(recipe.parts, "--parts")), return_inverse=True)
    wrong = [shown(word) for word in words if shown(word) not in PARTS]
    if wrong:
        raise DataError(f"--parts {recipe.parts}: {samples.file} holds {wrong[0]!r} there; expected {', '.join(PARTS)}")
    part = np.array([PARTS.index(shown(word)) for word in words], dtype=np.uint8)[row_word]
    if groups is None:
        return part
    names, row_group = np.unique(groups, return_inverse=True)
    first = np.zeros(len(names), dtype=np.uint8)
    first[row_group] = part
    divided = np.flatnonzero(first[row_group] != part)
    if len(divided):
        group = row_group[divided[0]]
        sides = " and ".join(PARTS[number] for number in np.unique(part[row_group == group]))
        raise DataError(
            f"--by {recipe.by}: group {shown(names[group])} has rows in {sides} by --parts {recipe.parts} "
            f"({len(np.unique(row_group[divided]))} such groups); give all rows of a group the same part"
        )
    return part


def _classes(samples: Samples) -> NDArray[Any] | None:
    """The class of each row, where the target is one."""
    target = samples.columns.get("y")
    return None if target is None or len(target.shape) != 1 or target.dtype.kind == "f" else whole(target)


def _class_names(samples: Samples, values: NDArray[Any]) -> list[str]:
    """What the classes are called: by name where the file tells it."""
    told = samples.others.get("/data/class_name")
    names = [shown(name) for name in whole(told)] if isinstance(told, Column) else []
    return [names[value] if names and 0 <= value < len(names) else shown(value) for value in values]
