"""What of a CNN run can be checked before any work: images, labels, network and batches that fit together."""

import re
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.source import Reader, Source, locate, locate_at, split_name
from hpcjobs.errors import DataError, SettingsError
from hpcjobs.jobs._cnn_settings import Settings
from hpcjobs.jobs._tables import TAKEN, WIDENED
from hpcjobs.nn.declared import parse
from hpcjobs.nn.network import Network, build, told
from hpcjobs.nn.presets import preset

SHAPE = re.compile(r"([1-9]\d*)x([1-9]\d*)(?:x([1-9]\d*))?", re.ASCII)
MOST_CLASSES = 65536


@dataclass(frozen=True)
class Images:
    """Images of one shape (h, w, c) in a file, the value of each row, and what pixels are multiplied by."""

    source: Source
    labels: Source
    shape: tuple[int, int, int]
    values: NDArray[np.float64]  # classes as whole numbers, or numbers
    rescale: float


@dataclass(frozen=True)
class Ground:
    """What a run stands on. Of numbers (`mse`) there is one class."""

    images: Images
    validation: Images | None
    network: Network
    kind: str
    classes: int


def check(settings: Settings) -> Ground:
    """Find every mistake that can be found without reading the images."""
    images = find_images(settings.data, settings.labels, settings.image_shape, settings.rescale)
    counts = class_counts(images) if settings.loss != "mse" else np.ones(1, dtype=np.int64)
    kind = settings.loss
    if settings.network is not None and settings.layers:
        raise SettingsError("--network names a preset, and [[layers]] declare another network; keep one of them")
    binary = kind == "binary" or (kind == "auto" and len(counts) == 2)
    outputs = 1 if binary or kind == "mse" else len(counts)
    layers = parse(settings.layers) if settings.layers else preset(settings.network or "reference", outputs)
    network = build(layers, images.shape)
    if kind == "auto":
        kind = "binary" if len(counts) == 2 and network.gives == (1,) else "categorical"
    _check_head(network, kind, len(counts))
    if kind == "binary" and len(counts) > 2:
        raise SettingsError(f"--loss binary: {images.labels} holds {len(counts)} classes, expected 0 and 1")
    if settings.class_weights == "balanced" and kind == "mse":
        raise SettingsError("--class-weights balanced: --loss mse has no classes")
    _check_batches(settings, images)
    validation = None
    if settings.validation is not None:
        validation = find_images(settings.validation, None, settings.image_shape, settings.rescale, "--validation")
        check_like(validation, images.shape, len(counts) if kind != "mse" else None)
    elif settings.early_stopping:
        raise SettingsError("--early-stopping needs images to validate on: name them with --validation")
    return Ground(images, validation, network, kind, len(counts))


def find_images(
    data: str, labels: str | None, shape: str | None, rescale: float | None, flag: str = "--data", flat_as: str = ""
) -> Images:
    """Images and what is known of each; `flat_as` is the shape of rows that lie flat, unless `shape` is asked for."""
    source = locate_at(*split_name(data), range(2, 5))
    if source.dtype.name not in (*TAKEN, *WIDENED):
        raise SettingsError(
            f"{flag} {source}: holds {source.dtype}, expected one of {', '.join((*TAKEN, *WIDENED))}; "
            f"convert it: hpcjobs data import {source} OUT.h5 --dtype float32"
        )
    found = _image_shape(source, shape or (flat_as if len(source.shape) == 2 else "") or None, flag)
    if labels is None:
        beside = source.name.rsplit("/", 1)[0] + "/y"
        try:
            known = locate_at(source.file, beside, range(1, 2))
        except DataError as error:
            raise DataError(f"{error}: {flag} needs the class of each row; name them with --labels") from None
    else:
        known = locate(labels, dimensions=1)
    if known.rows != source.rows:
        raise DataError(f"{known}: {known.rows} values for the {source.rows} images of {source}")
    with Reader(known) as reader:
        raw = np.empty(known.rows, dtype=known.dtype)
        reader.read(0, raw)
    values = raw.astype(np.float64)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise DataError(f"{known}: row {wrong[0]} is {values[wrong[0]]}, which is no class and no number")
    usual = 1 / 255 if source.dtype == np.uint8 else 1.0
    return Images(source, known, found, values, usual if rescale is None else rescale)


def class_counts(images: Images) -> NDArray[np.int64]:
    """Rows of each class; DataError unless the labels are at least two of 0, 1, 2, ..."""
    values = images.values
    wrong = np.flatnonzero((values != np.round(values)) | (values < 0) | (values >= MOST_CLASSES))
    if len(wrong):
        raise DataError(
            f"{images.labels}: row {wrong[0]} is {values[wrong[0]]:g}, expected classes 0, 1, 2, ... below "
            f"{MOST_CLASSES}; for numbers take --loss mse"
        )
    counts = np.bincount(values.astype(np.int64))
    if (counts > 0).sum() < 2:
        raise DataError(f"{images.labels}: every row is of class {int(values[0])}; at least two classes are needed")
    return counts.astype(np.int64)


def check_like(images: Images, shape: tuple[int, ...], classes: int | None) -> None:
    """Refuse images, or classes, that a network does not know."""
    if images.shape != shape:
        raise DataError(f"{images.source}: images of {told(images.shape)}, the network takes {told(shape)}")
    if classes is None:
        return
    values = images.values
    wrong = np.flatnonzero((values != np.round(values)) | (values < 0) | (values >= classes))
    if len(wrong):
        raise DataError(
            f"{images.labels}: row {wrong[0]} is {values[wrong[0]]:g}, the network knows the classes 0 to {classes - 1}"
        )


def _image_shape(source: Source, asked: str | None, flag: str) -> tuple[int, int, int]:
    own = source.shape[1:]
    if asked is None:
        if len(own) == 1:
            raise SettingsError(
                f"{flag} {source}: rows of {own[0]} numbers; say what they are as images: --image-shape 28x28x1"
            )
        height, width, channels = own if len(own) == 3 else (*own, 1)
        return height, width, channels
    found = SHAPE.fullmatch(asked)
    if found is None:
        raise SettingsError(f"--image-shape is {asked!r}: expected HEIGHTxWIDTHxCHANNELS, as 28x28x1")
    height, width, channels = int(found[1]), int(found[2]), int(found[3] or 1)
    if height * width * channels != np.prod(own):
        raise SettingsError(
            f"--image-shape is {asked}, {height * width * channels} numbers, but a row of {source} has {np.prod(own)}"
        )
    return height, width, channels


def _check_head(network: Network, kind: str, classes: int) -> None:
    wanted = classes if kind == "categorical" else 1
    if network.gives != (wanted,):
        last = network.nodes[-1].name if network.nodes else "none"
        what = f"{classes} classes" if kind == "categorical" else f"loss {kind}"
        raise SettingsError(
            f"the last layer, {last}, gives {told(network.gives)} numbers; {what} need {wanted}: end with "
            f'type = "dense", units = {wanted}'
        )


def _check_batches(settings: Settings, images: Images) -> None:
    if settings.batch_size > images.source.rows:
        raise SettingsError(
            f"--batch-size is {settings.batch_size}, but {images.source} has {images.source.rows} images"
        )
    if settings.batch_size % settings.shards:
        below = settings.batch_size // settings.shards * settings.shards or settings.shards
        raise SettingsError(
            f"--batch-size is {settings.batch_size}, which --shards {settings.shards} does not divide; "
            f"take {below}, or other --shards"
        )


def flat(source: Source) -> Source:
    """The same rows, each as one line of numbers."""
    return replace(source, shape=(source.rows, int(np.prod(source.shape[1:]))))
