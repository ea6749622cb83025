"""A trained network as a result keeps it, and what it says of new images."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hpcjobs.jobs._cnn_input import pixels
from hpcjobs.jobs._cnn_names import Names, names_of
from hpcjobs.nn.declared import Layer, parse
from hpcjobs.nn.losses import probabilities
from hpcjobs.nn.network import Block, Network, Node, build, view
from hpcjobs.nn.room import Room
from hpcjobs.nn.training import outputs_of

# What of the result is the model, and what is said of each row.
MODEL = ("network", "parameters", "statistics", "class_name")
PREDICTS = {
    "labels": "class of each image, -1 where a value is missing or infinite",
    "probabilities": "probability of each class",
}


@dataclass(frozen=True)
class Trained:
    """A network with its numbers, and how it takes images."""

    network: Network
    parameters: NDArray[np.float32]
    statistics: NDArray[np.float64]
    kind: str
    classes: int
    rescale: float
    names: Names = ()


def name_of(node: Node, block: Block) -> str:
    """How an array of a layer is called in a file: `conv_1_weights`."""
    return f"{node.name}_{block.name}"


def declare(layers: tuple[Layer, ...], network: Network, kind: str, classes: int, rescale: float) -> str:
    """The network as JSON."""
    facts = {"takes": network.takes, "loss": kind, "classes": classes, "rescale": rescale}
    return json.dumps({"layers": msgspec.to_builtins(layers), **facts}, sort_keys=True)


def load(model: Mapping[str, NDArray[Any]]) -> Trained:
    """The network of a result's arrays."""
    facts = _facts(model)
    network = build(parse(facts["layers"]), tuple(facts["takes"]))
    parameters, statistics = np.empty(network.size, dtype=np.float32), np.empty(network.statistics_size)
    for node, block in network.parameters():
        view(parameters, block)[...] = model[f"parameters/{name_of(node, block)}"]
    for node, block in network.statistics():
        view(statistics, block)[...] = model[f"statistics/{name_of(node, block)}"]
    names = names_of(model.get("class_name"))
    return Trained(network, parameters, statistics, facts["loss"], facts["classes"], facts["rescale"], names)


def shape_of(model: Mapping[str, NDArray[Any]]) -> tuple[int, ...]:
    """The shape that a row must have."""
    return tuple(_facts(model)["takes"])


def _facts(model: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(np.asarray(model["network"]).item())
    return found


def predict(model: Mapping[str, NDArray[Any]], rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Label and probabilities (some, classes) of rows (some, numbers), each row by itself."""
    trained = load(model)
    images = pixels(rows, trained.network.takes, trained.rescale)  # type: ignore[arg-type]
    finite = np.isfinite(images).all(axis=(1, 2, 3))
    images[~finite] = 0
    outputs = outputs_of(trained.network, trained.parameters, trained.statistics, images, Room())
    found = probabilities(trained.kind, outputs)
    labels = found.argmax(axis=1).astype(np.int32)
    labels[~finite], found[~finite] = -1, np.nan
    return {"labels": labels, "probabilities": found}
