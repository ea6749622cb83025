"""Networks with first parameters, as a result would hold them, and images for them."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.schema import text, texts
from hpcjobs.jobs._cnn_predict import Trained, declare, name_of
from hpcjobs.nn.augment import Preparation
from hpcjobs.nn.augmentation import Augmentation
from hpcjobs.nn.channels import Channels
from hpcjobs.nn.declared import Layer
from hpcjobs.nn.network import build, first_parameters, first_statistics, view
from hpcjobs.runs.model import Model

Layers = tuple[Layer, ...]


def model_of(
    layers: Layers, shape: tuple[int, ...], kind: str = "categorical", names: tuple[str, ...] = (), seed: int = 3,
    dtype: str = "", rescale: float = 1 / 255, **augmentation: Any,
) -> Model:  # fmt: skip
    """A model with drawn parameters and statistics that are none of the beginning."""
    told = Augmentation(**augmentation)
    channels = Channels(np.full(shape[2], 100.0), np.arange(50.0, 50 + shape[2]))
    preparation = Preparation(told, shape, rescale, channels=channels if told.standardise == "feature" else None)
    network = build(layers, preparation.prepared_shape)
    draw = np.random.default_rng(seed)
    parameters = first_parameters(network, seed, "he", np.dtype(np.float32))
    parameters += draw.normal(scale=0.05, size=network.size).astype(np.float32)
    statistics = 0.5 * first_statistics(network) + draw.uniform(0, 0.1, network.statistics_size)
    classes = 2 if kind == "binary" else network.gives[0]
    arrays: dict[str, NDArray[Any]] = {
        "network": text(declare(Trained(network, parameters, statistics, kind, classes, names, preparation, dtype)))
    }
    for group, buffer, blocks in (
        ("parameters", parameters, network.parameters()),
        ("statistics", statistics, network.statistics()),
    ):
        for node, block in blocks:
            arrays[f"{group}/{name_of(node, block)}"] = view(buffer, block)
    if names:
        arrays["class_name"] = texts(names)
    return Model(Path("result.h5"), "cnn", "0123456789", "digest", arrays)


def images_file(path: Path, rows: int, shape: tuple[int, ...], classes: int, **columns: NDArray[Any]) -> Path:
    """Noise, its classes, and columns beside them."""
    draw = np.random.default_rng(11)
    with h5py.File(path, "w") as file:
        file["data/x"] = draw.integers(0, 256, size=(rows, *shape)).astype(np.uint8)
        file["data/y"] = draw.integers(0, classes, rows)
        for name, values in columns.items():
            file[f"data/{name}"] = values
    return path
