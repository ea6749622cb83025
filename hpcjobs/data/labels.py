"""Images to train on, and what is known of each of them."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.imageshape import image_shape
from hpcjobs.data.slab import name_row
from hpcjobs.data.source import FEATURES, Reader, Source, locate, locate_at, split_name
from hpcjobs.errors import DataError
from hpcjobs.parallel.communicator import Communicator, on_all

TAKEN = ("uint8", "float32", "float64")
MOST = 2**31 - 1


def locate_images(argument: str, shape: str | None = None) -> Source:
    """Images (rows, height, width, channels) that a flag names; `shape` (HxW or HxWxC) makes flat rows images."""
    found = locate_at(*split_name(argument), FEATURES)
    if found.dtype.name not in TAKEN:
        raise DataError(
            f"{found}: holds {found.dtype}, images are of {', '.join(TAKEN)}; "
            f"convert it: hpcjobs data import {found} OUT.h5 --dtype float32"
        )
    size = image_shape(str(found), found.shape[1:], shape)
    if size is None:
        raise DataError(f"{found}: a row has {found.shape[1]} values and no height and width; name its --shape HxWxC")
    return replace(found, shape=(found.rows, *size, *((1,) if len(size) == 2 else ())))


def locate_labels(images: Source, named: str | None = None) -> Source:
    """The labels that a flag names, else `y` in the group of the images: one number a row."""
    group = images.name.rpartition("/")[0]
    try:
        found = locate(named, 1) if named else locate_at(images.file, f"{group}/y", range(1, 2))
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


def read_labels(source: Source, communicator: Communicator) -> NDArray[Any]:
    """Every label (rows,), on every rank; refused where one is NaN or infinite. Collective."""

    def read() -> NDArray[Any]:
        labels = np.empty(source.rows, dtype=source.dtype)
        with Reader(source) as reader:
            reader.read(0, labels)
        _refuse(source, labels, ~np.isfinite(labels), "a finite number")
        return labels

    return on_all(communicator, read)


def as_classes(source: Source, labels: NDArray[Any], classes: int | None = None) -> NDArray[np.int64]:
    """Labels (rows,) as classes 0 to `classes` - 1 (None: up to the largest), of which two at least occur."""
    numbers = (labels >= 0) & (labels <= MOST) & (labels == np.floor(labels))
    _refuse(source, labels, ~numbers, f"the number of a class, 0 to {MOST}")
    whole = labels.astype(np.int64)
    if classes is not None:
        _refuse(source, labels, whole >= classes, f"a class from 0 to {classes - 1}: the network tells {classes} apart")
    if whole.min() == whole.max():
        raise DataError(
            f"{source}: all {len(whole)} labels are {whole[0]}; a classifier needs examples of two classes at least"
        )
    return whole


def _refuse(source: Source, labels: NDArray[Any], wrong: NDArray[np.bool_], expected: str) -> None:
    """Name the first label that is wrong, and how many there are."""
    if wrong.any():
        row = int(np.argmax(wrong))
        count = int(wrong.sum())
        more = f" (and {count - 1} more like it)" if count > 1 else ""
        raise DataError(f"{source}: the label of {name_row(source, row)} is {labels[row]}{more}; expected {expected}")
