"""What of a CNN run can be checked before any work: images, labels, network and batches that fit together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.labels import TOLD, as_classes, as_numbers, locate_images, locate_labels, own_classes, read_labels
from hpcjobs.data.order import Order, order_for
from hpcjobs.data.source import Source
from hpcjobs.errors import DataError, SettingsError
from hpcjobs.jobs._cnn_prepared import prepare, refuse_frozen
from hpcjobs.jobs._cnn_settings import Settings
from hpcjobs.jobs._cnn_transfer import Given, new_layers, read_given, with_head
from hpcjobs.nn.augment import Preparation
from hpcjobs.nn.declared import of_places, parse
from hpcjobs.nn.network import Network, build, told
from hpcjobs.nn.presets import preset
from hpcjobs.nn.transfer import frozen_layers
from hpcjobs.settings import memory_limit


@dataclass(frozen=True)
class Images:
    """Images (rows, h, w, c) in a file, where their labels lie, and these (rows,) as classes 0, 1, ... or numbers."""

    source: Source
    labels: Source
    values: NDArray[Any]


@dataclass(frozen=True)
class Ground:
    """What a run stands on. Of numbers (`mse`) there is one class; `names` are those of the classes, if they have any.

    What `preparation` takes of the whole data (channels) is not in it yet. `notes` are for the user.
    """

    images: Images
    validation: Images | None
    network: Network
    kind: str
    classes: int
    names: tuple[str, ...]
    preparation: Preparation
    order: Order
    given: Given | None = None
    frozen: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def check(settings: Settings) -> Ground:
    """Find every mistake that can be found without reading the images."""
    memory_limit(settings.memory)
    given = None if settings.init_from is None else read_given(Path(settings.init_from))
    source = _images(settings, given)
    labels = locate_labels(source, settings.labels)
    values: NDArray[Any]
    names: tuple[str, ...] = ()
    if settings.loss == "mse":
        values, classes = as_numbers(labels, read_labels(labels)), 1
    else:
        values, names = own_classes(labels, read_labels(labels))
        classes = len(names) or int(values.max()) + 1
    prepared = prepare(settings, source, given)
    network, kind = _network(settings, prepared.preparation.prepared_shape, classes, given)
    frozen = frozen_layers(network, settings.freeze)
    if given is not None:
        new_layers(given, network)
        refuse_frozen(prepared, given, network, frozen)
    if kind == "binary" and classes > 2:
        raise SettingsError(f"--loss binary: {labels} holds {classes} classes, expected 0 and 1")
    if settings.class_weights == "balanced" and kind == "mse":
        raise SettingsError("--class-weights balanced: --loss mse has no classes")
    validation = None
    if settings.validation is not None:
        validation = known_images(
            settings.validation, None, source.shape[1:], kind, classes, names, settings.image_shape
        )
    elif settings.early_stopping:
        raise SettingsError("--early-stopping needs images to validate on: name them with --validation")
    preparation = replace(prepared.preparation, classes=classes if kind == "categorical" else 0)
    order = order_for(source.rows, source.row_bytes, settings.batch_size, settings.shards, settings.seed)
    return Ground(
        Images(source, labels, values), validation, network, kind, classes, names, preparation, order, given, frozen,
        (*_unseen(values, classes, names), *(() if given is None else prepared.lines(given))),
    )  # fmt: skip


def _unseen(values: NDArray[Any], classes: int, names: Sequence[str]) -> tuple[str, ...]:
    """A line where some classes have no image, as when they are numbered from 1."""
    if classes == 1:
        return ()
    unseen = np.flatnonzero(np.bincount(values, minlength=classes) == 0).tolist()
    some = ", ".join(names[number] if names else str(number) for number in unseen[:TOLD])
    more = ", ..." if len(unseen) > TOLD else ""
    return (f"warning: {len(unseen)} of {classes} classes have no image to train on: {some}{more}",) if unseen else ()


def known_images(
    data: str,
    labels: str | None,
    shape: tuple[int, ...],
    kind: str,
    classes: int,
    names: Sequence[str],
    asked: str | None = None,
) -> Images:
    """Images to try a network on that was made for those of `shape` and for some classes; rows may lie flat."""
    source = locate_images(data, asked, known=shape)
    if source.shape[1:] != shape:
        raise DataError(f"{source}: images of {told(source.shape[1:])}, the network takes {told(shape)}")
    known = locate_labels(source, labels)
    raw = read_labels(known)
    return Images(source, known, as_numbers(known, raw) if kind == "mse" else as_classes(known, raw, classes, names))


def _images(settings: Settings, given: Given | None) -> Source:
    """The images to train on; flat rows are those of the given network, or features where no layer looks at places."""
    known = () if given is None else given.facts.images
    if settings.layers:
        layers = parse(settings.layers)
    else:
        layers = given.layers if given and settings.network is None else preset(settings.network or "reference", 1)
    return locate_images(settings.data, settings.image_shape, known=known, features=not of_places(layers))


def _network(settings: Settings, takes: tuple[int, ...], classes: int, given: Given | None) -> tuple[Network, str]:
    """The network for images as they are prepared, and its kind of loss."""
    kind: str = settings.loss
    if settings.network is not None and settings.layers:
        raise SettingsError("--network names a preset, and [[layers]] declare another network; keep one of them")
    one = kind in ("binary", "mse") or (kind == "auto" and classes == 2)
    outputs = 1 if one else classes
    if given is not None and not settings.layers and settings.network is None:
        layers = with_head(given, outputs, classes)
    else:
        layers = parse(settings.layers) if settings.layers else preset(settings.network or "reference", outputs)
    network = build(layers, takes)
    if kind == "auto":
        kind = "binary" if classes == 2 and network.gives == (1,) else "categorical"
    wanted = classes if kind == "categorical" else 1
    if network.gives != (wanted,):
        last = network.nodes[-1].name if network.nodes else "none"
        what = f"{classes} classes" if kind == "categorical" else f"loss {kind}"
        raise SettingsError(
            f"the last layer, {last}, gives {told(network.gives)} numbers; {what} need {wanted}: end with "
            f'type = "dense", units = {wanted}'
        )
    return network, kind
