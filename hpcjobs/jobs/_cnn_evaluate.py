"""How good a trained network is on labelled images: exact, on any number of ranks."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.jobs._cnn_check import known_images
from hpcjobs.jobs._cnn_predict import load
from hpcjobs.jobs._cnn_result import judge
from hpcjobs.nn.measures import roc_aucs, scores
from hpcjobs.parallel.communicator import Communicator, on_root
from hpcjobs.runs.model import Model


def evaluate(model: Model, data: str, labels: str | None, comm: Communicator) -> dict[str, Any]:
    """Loss, accuracy, confusion, and of each class precision, recall, F1 and ROC AUC. Collective."""
    trained = load(model.arrays)
    shape = trained.preparation.shape
    images = on_root(comm, lambda: known_images(data, labels, shape, trained.kind, trained.classes, trained.names))
    judged = judge(trained, images, comm)
    found: dict[str, Any] = {"rows": images.source.rows, "loss": judged.loss}
    if trained.kind == "mse":
        return found
    shares = np.concatenate(comm.allgather_object(judged.probabilities))
    each = scores(judged.confusion)
    columns: Mapping[str, NDArray[Any]] = {**vars(each), "roc_auc": roc_aucs(images.values, shares)}
    classes = [
        {"class": number, **({"name": trained.names[number]} if trained.names else {})}
        | {name: column[number].item() for name, column in columns.items()}
        for number in range(trained.classes)
    ]
    return found | {"accuracy": judged.accuracy, "confusion": judged.confusion.tolist(), "classes": classes}
