"""Images to train on, and what is known of each of them: the number or the name of its class, or a number."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.imagefiles import is_album
from hpcjobs.data.imageshape import image_shape
from hpcjobs.data.slab import name_row
from hpcjobs.data.source import FEATURES, Reader, Source, locate_at, split_name
from hpcjobs.errors import DataError

TAKEN = ("uint8", "float16", "float32", "float64", "int8", "int16", "uint16", "int32", "uint32")
MOST = 65535
TOLD = 10  # classes that a message lists


def locate_images(
    argument: str,
    shape: str | None = None,
    flag: str = "--image-shape",
    known: tuple[int, ...] = (),
    *,
    features: bool = False,
) -> Source:
    """Images (rows, height, width, channels) that a flag names.

    `shape` (HxW or HxWxC, what `flag` says) makes flat rows images; without it they have the `known` shape, if any.
    As `features` they are images of one pixel (rows, 1, 1, features) then.
    """
    path, name = split_name(argument)
    if is_album(path):
        raise DataError(
            f"{argument}: images are read from an HDF5 file here; make one of them: hpcjobs data import {argument} "
            "OUT.h5 --size HxW"
        )
    found = locate_at(path, name, FEATURES)
    if found.dtype.name not in TAKEN:
        raise DataError(
            f"{found}: holds {found.dtype}, images are of {', '.join(TAKEN)}; "
            f"convert it: hpcjobs data import {found} OUT.h5 --dtype float32"
        )
    if shape is None and known and (len(found.shape) == 2 or found.shape[1:] == known):
        shape, flag = "x".join(map(str, known)), "the network takes"
    if shape is None and features and len(found.shape) == 2:
        return replace(found, shape=(found.rows, 1, 1, found.shape[1]))
    size = image_shape(str(found), found.shape[1:], shape, flag, shown=False)
    if size is None:
        raise DataError(
            f"{found}: a row has {found.shape[1]} values and no height and width; name its {flag} HxWxC, or take a "
            "network without convolutions and pools, such as --network mlp"
        )
    return replace(found, shape=(found.rows, *size, *((1,) if len(size) == 2 else ())))


def locate_labels(images: Source, named: str | None = None) -> Source:
    """The labels that a flag names, else `y` in the group of the images: one number, truth or text a row."""
    try:
        place = split_name(named) if named else (images.file, _beside(images, "y"))
        found = locate_at(*place, range(1, 2), "fiubS")
    except DataError as error:
        if named:
            raise
        raise DataError(
            f"{images}: its labels are expected beside it ({error}); name them: --labels FILE.h5:/path"
        ) from None
    if found.rows != images.rows:
        raise DataError(
            f"{found}: {found.rows} labels for the {images.rows} images of {images}; one for each is needed"
        )
    return found


def read_labels(source: Source) -> NDArray[Any]:
    """Every label (rows,)."""
    labels = np.empty(source.rows, dtype=source.dtype)
    with Reader(source) as reader:
        reader.read(0, labels)
    return labels


def as_numbers(source: Source, labels: NDArray[Any]) -> NDArray[np.float64]:
    """Labels (rows,) as numbers to be predicted; refused where one is none, NaN or infinite."""
    if labels.dtype.kind == "S":
        raise DataError(f"{source}: holds text; --loss mse needs numbers, and text the loss auto")
    _refuse(source, labels, ~np.isfinite(labels), "a finite number")
    return labels.astype(np.float64)


def own_classes(source: Source, labels: NDArray[Any]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Labels (rows,) as classes 0, 1, 2, ..., of which two at least occur, and their names where there are any."""
    found, names = _as_told(source, labels)
    if found.min() == found.max():
        one = names[found[0]] if names else labels[0]
        raise DataError(
            f"{source}: all {len(found)} labels are {one}; a classifier needs examples of two classes at least"
        )
    return found, names


def as_classes(source: Source, labels: NDArray[Any], classes: int, names: Sequence[str] = ()) -> NDArray[np.int64]:
    """Labels (rows,) as the classes of a network: by their `names` where both have some, else by their numbers."""
    found, own = _as_told(source, labels)
    known = f"the network tells {classes} apart"
    if not own or not names:
        if labels.dtype.kind == "S":
            raise DataError(f"{source}: holds text, and {known} by number only; number the classes 0 to {classes - 1}")
        _refuse(source, found, found >= classes, f"a class from 0 to {classes - 1}: {known}")
        return found
    numbers = {name: number for number, name in enumerate(names)}
    there = np.array([numbers.get(name, -1) for name in own])
    some = ", ".join(names[:TOLD]) + (", ..." if len(names) > TOLD else "")
    _refuse(source, np.array(own)[found], there[found] < 0, f"one of {some}: {known}")
    return there[found]


def _as_told(source: Source, labels: NDArray[Any]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Labels as numbers, and the names of these: texts in sorted order, or `class_name` beside the labels."""
    if labels.dtype.kind == "S":
        texts, numbers = np.unique(labels, return_inverse=True)
        return numbers.astype(np.int64), _texts(texts)
    names = _class_names(source)
    most = len(names) - 1 if names else MOST
    with np.errstate(invalid="ignore"):  # of NaN
        whole = (labels >= 0) & (labels <= most) & (labels == np.floor(labels.astype(np.float64)))
    named = f", as {source.name.rpartition('/')[0]}/class_name names them" if names else ""
    _refuse(source, labels, ~whole, f"the number of a class, 0 to {most}{named}; for other numbers take --loss mse")
    return labels.astype(np.int64), names


def _class_names(source: Source) -> tuple[str, ...]:
    """What classes 0, 1, 2, ... are called in a file that says so."""
    try:
        found = locate_at(source.file, _beside(source, "class_name"), range(1, 2), "S")
    except DataError:
        return ()
    names = _texts(read_labels(found))
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise DataError(f"{found}: {twice} is the name of two classes; give each class a name of its own")
    return names


def _texts(values: NDArray[np.bytes_]) -> tuple[str, ...]:
    return tuple(value.decode(errors="replace") for value in values.tolist())


def _beside(source: Source, name: str) -> str:
    return f"{source.name.rpartition('/')[0]}/{name}"


def _refuse(source: Source, labels: NDArray[Any], wrong: NDArray[np.bool_], expected: str) -> None:
    """Name the first label that is wrong, and how many there are."""
    if wrong.any():
        row = int(np.argmax(wrong))
        count = int(wrong.sum())
        more = f" (and {count - 1} more like it)" if count > 1 else ""
        raise DataError(f"{source}: the label of {name_row(source, row)} is {labels[row]}{more}; expected {expected}")
