"""What a CNN run leaves: the network's numbers layer by layer, and what it says of the images to validate on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.batches import check_finite
from hpcjobs.data.schema import Variable, rows_of, text, texts
from hpcjobs.data.slab import identities, shards_of
from hpcjobs.data.source import source_blocks
from hpcjobs.jobs._cnn_check import Ground, Images
from hpcjobs.jobs._cnn_pictures import worst_pictures
from hpcjobs.jobs._cnn_predict import Trained, declare, name_of
from hpcjobs.jobs._cnn_state import Memory
from hpcjobs.nn.losses import loss_of, probabilities
from hpcjobs.nn.measures import confusion
from hpcjobs.nn.network import Block, Node, view
from hpcjobs.nn.room import Room
from hpcjobs.nn.training import Learner, outputs_of
from hpcjobs.parallel.communicator import Communicator, on_all
from hpcjobs.parallel.shards import Span
from hpcjobs.runs.context import Context

Floats = NDArray[np.float64]
AXES = {4: ("height", "width", "input", "output"), 2: ("input", "output"), 1: ("output",)}


@dataclass(frozen=True)
class Judged:
    """What a network says of this rank's rows, and how right it is on those of all ranks."""

    probabilities: Floats  # (local rows, classes)
    losses: Floats  # (local rows,)
    loss: float
    accuracy: float
    confusion: NDArray[np.int64]


def judge(trained: Trained, images: Images, comm: Communicator) -> Judged:
    """Look at every image once. Sums are taken over all rows in their order, on every rank. Collective."""
    span = shards_of(images.source).rows(comm.rank, comm.size)
    found, losses = on_all(comm, partial(_look, trained, images, span))
    truth = images.values[span.start : span.stop]
    loss = float(np.concatenate(comm.allgather_object(losses)).sum()) / images.source.rows
    if trained.kind == "mse":
        return Judged(found, losses, loss, float("nan"), np.zeros((1, 1), dtype=np.int64))
    counts = confusion(truth, found.argmax(axis=1), trained.classes)
    comm.allreduce_sum(counts)
    return Judged(found, losses, loss, int(np.trace(counts)) / images.source.rows, counts)


def _look(trained: Trained, images: Images, span: Span) -> tuple[Floats, Floats]:
    """Probabilities (rows, classes) and losses (rows,) of some rows."""
    room, shares, losses = Room(), [np.empty((0, trained.classes))], [np.empty(0)]
    first = span.start
    for block in source_blocks(images.source, span):
        rows = np.arange(first, first + len(block))
        check_finite(images.source, block, rows)
        prepared = trained.preparation.plain(block)
        outputs = outputs_of(trained.network, trained.parameters, trained.statistics, prepared, room)
        shares.append(probabilities(trained.kind, outputs))
        losses.append(loss_of(trained.kind, outputs, images.values[rows])[0])
        first += len(block)
    return np.concatenate(shares), np.concatenate(losses)


def as_trained(ground: Ground, learner: Learner) -> Trained:
    """A network while it still learns, as a result would keep it."""
    return Trained(
        ground.network, learner.parameters, learner.statistics, ground.kind, ground.classes, ground.names,
        ground.preparation, ground.images.source.dtype.name,
    )  # fmt: skip


def finish(ground: Ground, memory: Memory, step: int, keep_images: int, context: Context) -> dict[str, Variable]:
    """The `/result` data sets: the best network that was validated, else the last one. Collective."""
    learner = memory.best.learner if memory.best.epoch else memory.learner
    declared = declare(as_trained(ground, learner))
    found = {
        "/result/network": Variable((), text(declared), "the network, and how it takes images, as JSON"),
        "/result/steps": Variable((), np.array(step), "steps that were trained"),
        "/result/loss": Variable((), np.array(context.history.columns["loss"][-1]), "loss of the last step"),
    }
    if ground.given is not None:
        found["/result/init_digest"] = Variable((), text(ground.given.digest), "digest of the run it began with")
    if ground.names:
        found["/result/class_name"] = Variable(("class",), texts(ground.names), "name of the class")
    found |= _arrays("parameters", learner.parameters, ground.network.parameters())
    found |= _arrays("statistics", learner.statistics, ground.network.statistics())
    if ground.validation is None:
        return found
    if memory.best.epoch:
        found |= _arrays("last_parameters", memory.learner.parameters, ground.network.parameters())
        found |= _arrays("last_statistics", memory.learner.statistics, ground.network.statistics())
    return found | _validated(ground, learner, ground.validation, memory, keep_images, context.communicator)


def _arrays(group: str, buffer: NDArray[Any], blocks: Sequence[tuple[Node, Block]]) -> dict[str, Variable]:
    """One data set for each array of each layer. Axes of one kind and length share their scale."""
    found = {}
    for node, block in blocks:
        axes = tuple(f"{name}_{length}" for name, length in zip(AXES[len(block.shape)], block.shape, strict=True))
        values = np.ascontiguousarray(view(buffer, block))
        found[f"/result/{group}/{name_of(node, block)}"] = Variable(axes, values, f"{block.name} of layer {node.name}")
    return found


def _validated(
    ground: Ground, learner: Learner, images: Images, memory: Memory, keep_images: int, comm: Communicator
) -> dict[str, Variable]:
    judged = judge(as_trained(ground, learner), images, comm)
    start, total = shards_of(images.source).rows(comm.rank, comm.size).start, images.source.rows
    labels = judged.probabilities.argmax(axis=1).astype(np.int32)
    found = {
        "/result/id": identities(images.source, comm),
        "/result/best_epoch": Variable((), np.array(memory.best.epoch), "epoch of the lowest validation loss, from 1"),
        "/result/validation_loss": Variable((), np.array(judged.loss), "mean loss of the validation images"),
        "/result/probabilities": Variable(
            ("id", "class"), rows_of(judged.probabilities, total, start), "probability of each class"
        ),
    }
    if ground.kind == "mse":
        return found
    truth = images.values[start : start + len(labels)].astype(np.int32)
    found |= worst_pictures(images, judged.losses, labels != truth, keep_images, comm)
    return found | {
        "/result/truth": Variable(("id",), rows_of(truth, total, start), "class of each image by its label"),
        "/result/labels": Variable(("id",), rows_of(labels, total, start), "most probable class of each image"),
        "/result/confusion": Variable(("true_class", "class"), judged.confusion, "images of a true class by label"),
        "/result/accuracy": Variable((), np.array(judged.accuracy), "share of the validation images that are right"),
    }


def described(result: Mapping[str, Any]) -> dict[str, str]:
    """What `show` says of a result beyond what all jobs share."""
    told = {"steps": str(result["steps"]), "loss": f"{result['loss']:.6g} at the last step"}
    if result.get("class_name") is not None:
        told["classes"] = ", ".join(result["class_name"])
    if result.get("accuracy") is not None:
        told["validation"] = (
            f"accuracy {result['accuracy']:.4f}, loss {result['validation_loss']:.6g}, best in epoch "
            f"{result['best_epoch']}"
        )
    elif result.get("validation_loss") is not None:
        told["validation"] = f"loss {result['validation_loss']:.6g}, best in epoch {result['best_epoch']}"
    return told
