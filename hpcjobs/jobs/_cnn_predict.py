"""A trained network as a result keeps it, and what it says of new images."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.batches import LARGEST
from hpcjobs.errors import SettingsError, nearest
from hpcjobs.nn.augment import Preparation
from hpcjobs.nn.augmentation import Augmentation
from hpcjobs.nn.channels import Channels
from hpcjobs.nn.declared import parse
from hpcjobs.nn.losses import probabilities
from hpcjobs.nn.network import Block, Network, Node, build, view
from hpcjobs.nn.room import Room
from hpcjobs.nn.training import outputs_of

# What of the result is the model, and what is said of each row.
MODEL = ("network", "class_name", "parameters", "statistics")
PREDICTS = {
    "labels": "class of each image, -1 where a value is missing or infinite",
    "probabilities": "probability of each class",
}
FEATURES = {"features": "what a layer gives, NaN where a value of the image is missing or infinite"}


@dataclass(frozen=True)
class Trained:
    """A network with its numbers, what its classes are called, if anything, and how images are prepared for it.

    `dtype` is the type of the images that it was trained on; "" of networks that were trained before this was kept.
    """

    network: Network
    parameters: NDArray[np.float32]
    statistics: NDArray[np.float64]
    kind: str
    classes: int
    names: tuple[str, ...]
    preparation: Preparation
    dtype: str = ""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What `declare` writes."""

    layers: list[dict[str, Any]]
    loss: str
    classes: int
    images: tuple[int, int, int]
    rescale: float
    augmentation: Augmentation
    channels: tuple[list[float], list[float]] | None = None
    dtype: str = ""

    def preparation(self) -> Preparation:
        """How images are prepared for the network; ValueError for what does not fit together."""
        if self.channels is not None and any(len(column) != self.images[2] for column in self.channels):
            raise ValueError(f"mean and deviation of other than {self.images[2]} channels")
        channels = None if self.channels is None else Channels(*(np.array(column) for column in self.channels))
        return Preparation(self.augmentation, self.images, self.rescale, channels=channels)


def name_of(node: Node, block: Block) -> str:
    """How an array of a layer is called in a file: `conv_1_weights`."""
    return f"{node.name}_{block.name}"


def declare(trained: Trained) -> str:
    """The network, and how it takes images, as JSON."""
    preparation = trained.preparation
    channels = preparation.channels
    facts = {
        "layers": msgspec.to_builtins([node.layer for node in trained.network.nodes]),
        "loss": trained.kind,
        "classes": trained.classes,
        "images": preparation.shape,
        "rescale": preparation.rescale,
        "augmentation": msgspec.to_builtins(preparation.augmentation),
        "channels": None if channels is None else [channels.mean.tolist(), channels.deviation.tolist()],
        "dtype": trained.dtype,
    }
    return json.dumps(facts, sort_keys=True)


def load(model: Mapping[str, NDArray[Any]]) -> Trained:
    """The network of a result's arrays."""
    facts = _facts(model)
    preparation = facts.preparation()
    network = build(parse(facts.layers), preparation.prepared_shape)
    parameters, statistics = np.empty(network.size, dtype=np.float32), np.empty(network.statistics_size)
    for node, block in network.parameters():
        view(parameters, block)[...] = model[f"parameters/{name_of(node, block)}"]
    for node, block in network.statistics():
        view(statistics, block)[...] = model[f"statistics/{name_of(node, block)}"]
    names = tuple(name.decode() for name in model["class_name"].tolist()) if "class_name" in model else ()
    return Trained(network, parameters, statistics, facts.loss, facts.classes, names, preparation, facts.dtype)


def shape_of(model: Mapping[str, NDArray[Any]]) -> tuple[int, ...]:
    """The shape that a row must have."""
    return _facts(model).images


def dtype_of(model: Mapping[str, NDArray[Any]]) -> str:
    """The type of the images that the network was trained on; "" where it does not say."""
    return _facts(model).dtype


def _facts(model: Mapping[str, NDArray[Any]]) -> Facts:
    return msgspec.json.decode(np.asarray(model["network"]).item(), type=Facts)


def predict(model: Mapping[str, NDArray[Any]], rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Label and probabilities (some, classes) of rows (some, numbers), each row by itself."""
    trained = load(model)
    prepared, finite = _prepared(trained, rows)
    outputs = outputs_of(trained.network, trained.parameters, trained.statistics, prepared, Room())
    found = probabilities(trained.kind, outputs)
    labels = found.argmax(axis=1).astype(np.int32)
    labels[~finite], found[~finite] = -1, np.nan
    return {"labels": labels, "probabilities": found}


def features(model: Mapping[str, NDArray[Any]], rows: NDArray[Any], layer: str) -> dict[str, NDArray[Any]]:
    """What a layer gives for rows (some, numbers), each as one line (some, features)."""
    trained = load(model)
    names = [node.name for node in trained.network.nodes]
    if layer not in names:
        raise SettingsError(f"--layer {layer!r}: the network has no such layer; {nearest(layer, names)}")
    below = trained.network.nodes[: names.index(layer) + 1]
    network = replace(trained.network, nodes=below, gives=below[-1].gives)
    prepared, finite = _prepared(trained, rows)
    found = outputs_of(network, trained.parameters, trained.statistics, prepared, Room())
    found = found.reshape(len(rows), prod(below[-1].gives))
    found[~finite] = np.nan
    return {"features": found}


def _prepared(trained: Trained, rows: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Rows as the first layer takes them, and which of them hold numbers only; the others become 0."""
    finite = (np.abs(rows) <= LARGEST).all(axis=1)
    images = np.where(finite[:, None], rows, rows.dtype.type(0)).reshape(len(rows), *trained.preparation.shape)
    return trained.preparation.plain(images), finite
