"""A trained network as a file of other programs: its numbers as safetensors, the whole network as ONNX."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data import safetensors
from hpcjobs.jobs._cnn_onnx import graph
from hpcjobs.jobs._cnn_predict import Trained, load, name_of
from hpcjobs.nn.network import view
from hpcjobs.runs.model import Model

PREFIX = "hpcjobs_"


def as_safetensors(model: Model) -> bytes:
    """Parameters and running statistics by the names and in the shapes of the result."""
    return safetensors.encode(arrays_of(load(model.arrays)), facts_of(model))


def as_onnx(model: Model) -> bytes:
    """A graph from images (n, h, w, c) to the probability of each class (n, classes)."""
    return graph(load(model.arrays), facts_of(model))


EXPORTS = {".onnx": as_onnx, ".safetensors": as_safetensors}


def arrays_of(trained: Trained) -> dict[str, NDArray[Any]]:
    """The arrays of all layers by name: `conv_1_weights`."""
    network = trained.network
    found = {name_of(node, block): view(trained.parameters, block) for node, block in network.parameters()}
    return found | {name_of(node, block): view(trained.statistics, block) for node, block in network.statistics()}


def facts_of(model: Model) -> Mapping[str, str]:
    """What the file says of itself: the network as JSON, where it comes from, and what its classes are called."""
    facts = {
        "network": np.asarray(model.arrays["network"]).item().decode(),
        "run": model.run_uuid,
        "digest": model.digest,
        "class_names": json.dumps(load(model.arrays).names),
    }
    return {PREFIX + name: value for name, value in facts.items()}
