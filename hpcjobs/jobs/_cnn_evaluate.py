"""How good a trained network is on labelled images: exact, on any number of ranks."""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.schema import Variable, rows_of, texts
from hpcjobs.data.slab import identities, identity, shards_of
from hpcjobs.errors import DataError
from hpcjobs.jobs._album import Album, album_for, opened
from hpcjobs.jobs._cnn_check import Images, known_images
from hpcjobs.jobs._cnn_groups import Rows, compared, measured, read_groups, spans
from hpcjobs.jobs._cnn_predict import PREDICTS, Trained, load
from hpcjobs.jobs._cnn_result import Judged, judge
from hpcjobs.jobs._evaluate import Evaluated
from hpcjobs.nn.measures import BINS, area, confusion, rankings, reliability, scores, worst
from hpcjobs.parallel.communicator import Communicator, on_root
from hpcjobs.runs.model import Model
from hpcjobs.settings import setting

Listed = list[dict[str, Any]]
Names = tuple[str, ...]


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What `hpcjobs evaluate` can be told of a network."""

    data: Annotated[
        str,
        setting("labelled images: FILE.h5, FILE.h5:/path, or a folder or archive of class folders", kind="data"),
    ]
    labels: Annotated[str | None, setting("class of each row (default: y beside the rows)", kind="data")] = None
    groups: Annotated[
        str | None, setting("group of each row, to compare groups: a column beside the images, or FILE.h5:/path")
    ] = None
    fewest: Annotated[int, setting("rows that a group must have to be judged", ge=1)] = 30
    bootstrap: Annotated[int, setting("samples for the 95 % intervals (0: no intervals)", ge=0, le=1000000)] = 1000
    seed: Annotated[int, setting("seed of these samples", ge=0)] = 0
    worst: Annotated[int, setting("worst mistakes to name", ge=0, le=10000)] = 10
    bad_rows: Annotated[
        Literal["refuse", "skip"], setting("what to do with images of a folder or archive that are damaged")
    ] = "refuse"


def evaluate(model: Model, wanted: Evaluation, comm: Communicator) -> Evaluated:
    """Measures with intervals, confusion, each class, calibration, groups, and the worst mistakes. Collective."""
    trained = load(model.arrays)
    album = on_root(comm, lambda: _album(trained, wanted, model.file))
    if album is None:
        return _evaluate(trained, wanted, comm)
    with opened(album, Path.cwd() / "evaluation", comm, lambda done, total: None) as file:
        return _evaluate(trained, msgspec.structs.replace(wanted, data=file), comm)


def _album(trained: Trained, wanted: Evaluation, model: Path) -> Album | None:
    """The images of a folder or an archive, labelled by their class folders; None for those of an HDF5 file."""
    album = album_for(wanted.data, trained.preparation.shape, trained.dtype, wanted.bad_rows, model)
    if album is not None and wanted.labels is None and not album.in_classes():
        raise DataError(
            f"{wanted.data}: its images lie in no class folders, so nothing says what they are; put them into a folder "
            "for each class, or name their labels, in the order of their names: --labels FILE.h5:/path"
        )
    return album


def _evaluate(trained: Trained, wanted: Evaluation, comm: Communicator) -> Evaluated:
    """The same of images in an HDF5 file."""
    numbers, names, shape = trained.kind == "mse", trained.names, trained.preparation.shape

    def find() -> tuple[Images, NDArray[Any] | None]:
        images = known_images(wanted.data, wanted.labels, shape, trained.kind, trained.classes, names)
        return images, None if wanted.groups is None else read_groups(wanted.groups, images.source)

    images, groups = on_root(comm, find)
    judged = judge(trained, images, comm)
    start = shards_of(images.source).rows(comm.rank, comm.size).start
    gathered = (np.concatenate(comm.allgather_object(each)) for each in (judged.losses, judged.probabilities))
    rows = Rows(images.values, *gathered)
    found: dict[str, Any] = measured(rows, numbers)
    if not numbers:
        if wanted.bootstrap:
            found["intervals"] = spans(rows, wanted.seed, wanted.bootstrap, comm)
        found |= of_classes(rows, names)
    if groups is not None:
        found |= compared(rows, groups, wanted.fewest, numbers, wanted.seed, wanted.bootstrap, comm)
    found["worst"] = on_root(comm, lambda: worst_of(rows, images, names, numbers, wanted.worst))
    return Evaluated(found, said(images, judged, names, numbers, start, comm))


def of_classes(rows: Rows, names: Names) -> dict[str, Any]:
    """Confusion, the scores of each class, and reliability."""
    labels, classes = rows.probabilities.argmax(axis=1), rows.probabilities.shape[1]
    counts = confusion(rows.truth, labels, classes)
    areas = np.array([area(one) for one in rankings(rows.truth, rows.probabilities)])
    columns = vars(scores(counts)) | {"roc_auc": areas}
    each: Listed = [
        {"class": number, **({"name": names[number]} if names else {})}
        | {name: column[number].item() for name, column in columns.items()}
        for number in range(classes)
    ]
    bins = reliability(labels == rows.truth, rows.probabilities.max(axis=1))
    spread: Listed = [
        {"above": place / BINS, "to": (place + 1) / BINS}
        | {name: column[place].item() for name, column in vars(bins).items()}
        for place in np.flatnonzero(bins.rows).tolist()
    ]
    return {"classes": each, "confusion": counts.tolist(), "reliability": spread}


def worst_of(rows: Rows, images: Images, names: Names, numbers: bool, most: int) -> Listed:
    """The worst mistakes, of numbers the worst of all: which row, what it is, what it was taken for, how surely."""
    found: Listed = []
    wrong = np.ones(len(rows.truth), dtype=bool) if numbers else rows.probabilities.argmax(axis=1) != rows.truth
    for row in worst(rows.losses, wrong, most).tolist():
        one: dict[str, Any] = {"id": identity(images.source, row), "loss": rows.losses[row].item()}
        share = rows.probabilities[row]
        if numbers:
            found.append(one | {"is": rows.truth[row].item(), "said": share[0].item()})
            continue
        truth, label = int(rows.truth[row]), int(share.argmax())
        called = [names[number] if names else number for number in (truth, label)]
        found.append(one | {"is": called[0], "said": called[1], "probability": share[label].item()})
    return found


def said(
    images: Images, judged: Judged, names: Names, numbers: bool, start: int, comm: Communicator
) -> dict[str, Variable]:
    """What -o writes of each image, beside its identity."""
    total, shares = images.source.rows, judged.probabilities
    found = {
        "/prediction/id": identities(images.source, comm, hold=True),  # the file may be gone when they are written
        "/prediction/probabilities": Variable(
            ("id", "class"), rows_of(shares, total, start), PREDICTS["probabilities"]
        ),
        "/prediction/loss": Variable(("id",), rows_of(judged.losses, total, start), "loss of each image"),
    }
    if names:
        found["/prediction/class_name"] = Variable(("class",), texts(names), "name of the class")
    truth = images.values[start : start + len(shares)]
    if not numbers:
        labels = shares.argmax(axis=1).astype(np.int32)
        found["/prediction/labels"] = Variable(("id",), rows_of(labels, total, start), PREDICTS["labels"])
        truth = truth.astype(np.int32)
    found["/prediction/truth"] = Variable(("id",), rows_of(truth, total, start), "what each image is said to be")
    return found
