"""How good a trained network is on labelled images: exact, on any number of ranks."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hpcjobs.jobs._cnn_check import check_like, find_images
from hpcjobs.jobs._cnn_input import Pictures
from hpcjobs.jobs._cnn_predict import load
from hpcjobs.jobs._cnn_result import judge
from hpcjobs.jobs._evaluate import Evaluated
from hpcjobs.nn.measures import roc_aucs, scores
from hpcjobs.nn.network import told as shown
from hpcjobs.parallel.communicator import Communicator, on_all, on_root
from hpcjobs.runs.model import Model
from hpcjobs.settings import setting


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What `hpcjobs evaluate` can be told of a network."""

    data: Annotated[str, setting("labelled images: FILE.h5 or FILE.h5:/path", kind="data")]
    labels: Annotated[str | None, setting("class of each row (default: y beside the rows)", kind="data")] = None


def evaluate(model: Model, wanted: Evaluation, comm: Communicator) -> Evaluated:
    """Loss, accuracy, confusion, and of each class precision, recall, F1 and ROC AUC. Collective."""
    trained = load(model.arrays)
    takes = trained.network.takes
    flat = shown(takes).replace(" ", "")

    def find() -> Any:
        images = find_images(wanted.data, wanted.labels, None, trained.rescale, "DATA", flat)
        check_like(images, takes, None if trained.kind == "mse" else trained.classes)
        return images

    images = on_root(comm, find)
    with on_all(comm, lambda: Pictures(images)) as pictures:
        judged = judge(trained, images, pictures, comm)
    found: dict[str, Any] = {"rows": images.source.rows, "loss": judged.loss}
    if trained.kind == "mse":
        return Evaluated(found, {})
    shares = np.concatenate(comm.allgather_object(judged.probabilities))
    each = scores(judged.confusion)
    columns: Mapping[str, NDArray[Any]] = {**vars(each), "roc_auc": roc_aucs(images.values, shares)}
    classes = [
        {"class": number, **{name: column[number].item() for name, column in columns.items()}}
        for number in range(trained.classes)
    ]
    told = found | {"accuracy": judged.accuracy, "confusion": judged.confusion.tolist(), "classes": classes}
    return Evaluated(told, {})
