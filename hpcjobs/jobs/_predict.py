"""`hpcjobs predict` as a run: what the model of a finished run says of new rows, written beside their identities."""

from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.schema import Contents, Variable, rows_of
from hpcjobs.data.slab import digest_rows, digest_values, identities, shards_of
from hpcjobs.data.source import FEATURES, Source, locate_at, locate_features, split_name
from hpcjobs.data.streaming import Streamed
from hpcjobs.data.table import refuse_existing
from hpcjobs.data.writing import write_file
from hpcjobs.errors import DataError, SettingsError
from hpcjobs.jobs._album import Album, album_for, opened
from hpcjobs.jobs._models import job_of
from hpcjobs.jobs._tables import TAKEN, WIDENED, widened
from hpcjobs.nn.network import told
from hpcjobs.parallel.communicator import Communicator, on_all, on_root
from hpcjobs.runs.context import Context
from hpcjobs.runs.model import Model, read_model
from hpcjobs.settings import setting

BASE_BYTES = 300 * 2**20
BLOCK_BYTES = 2**24


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What `hpcjobs predict` was told."""

    model: Annotated[str, setting("run folder, or result of one", kind="data")]
    data: Annotated[str, setting("new rows: FILE.h5, FILE.h5:/path, or a folder or archive of images", kind="data")]
    file: Annotated[str, setting("file to write", kind="data")]
    layer: Annotated[str | None, setting("layer of a network whose values are written, not what it says")] = None
    bad_rows: Annotated[Literal["refuse", "skip"], setting("what to do with images that are damaged")] = "refuse"
    force: bool = False


def check(settings: Settings) -> None:
    """Refuse before the queue a model that is none, rows that do not fit it, and a file that is there."""
    job, model = _model(settings)
    refuse_existing(Path(settings.file), settings.force)
    if _album(settings) is None:
        fitting(settings)
    elif settings.layer is not None:
        _refuse_layer(job, model, settings.layer, job.shape_of(model.arrays), np.dtype(np.float32))


def fitting(settings: Settings) -> Source:
    """The rows of an HDF5 file that fit the model; refused where they do not, or it has no such layer."""
    job, model = _model(settings)
    source, found = locate_features(settings.data), row_shape(settings.data)
    if source.dtype.name not in (*TAKEN, *WIDENED):
        raise SettingsError(f"{source}: holds {source.dtype}, expected one of {', '.join((*TAKEN, *WIDENED))}")
    refuse_other_shape(source, found, job.shape_of(model.arrays), model.file)
    if settings.layer is not None:
        _refuse_layer(job, model, settings.layer, found, widened(source.dtype))
    return source


def _refuse_layer(job: Any, model: Model, layer: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuse a layer that the model has not."""
    if not hasattr(job, "features"):
        raise SettingsError(f"--layer {layer}: {model.file}, a result of {model.job}, has no layers")
    job.features(model.arrays, np.empty((0, prod(shape)), dtype=dtype), layer)


def _album(settings: Settings) -> Album | None:
    """The images of a folder or an archive, as the model takes them; None for rows of an HDF5 file."""
    job, model = _model(settings)
    dtype = job.dtype_of(model.arrays) if hasattr(job, "dtype_of") else ""
    return album_for(settings.data, job.shape_of(model.arrays), dtype, settings.bad_rows, model.file)


def row_shape(data: str) -> tuple[int, ...]:
    """The shape of one row as it lies in its file."""
    return locate_at(*split_name(data), FEATURES).shape[1:]


def refuse_other_shape(source: Source, found: tuple[int, ...], wanted: tuple[int, ...], model: Path) -> None:
    """Refuse rows of another shape than the model was made from; where one of both is flat, their length counts."""
    grey = found == (*wanted[:-1],) and wanted[-1:] == (1,)
    if found == wanted or grey or (prod(found) == prod(wanted) and 1 in (len(found), len(wanted))):
        return
    has, made = (f"{shape[0]} features" if len(shape) == 1 else told(shape) for shape in (found, wanted))
    raise DataError(
        f"{source}: has {has} a row, and {model} was made from rows of {made}; "
        "the same columns in the same order are needed"
    )


def need(settings: Settings, ranks: int) -> int:
    """Memory of one rank in bytes: blocks of rows, and what is said of each of its rows."""
    album = _album(settings)
    rows = locate_features(settings.data).rows if album is None else album.images()
    return BASE_BYTES + 4 * BLOCK_BYTES + 16 * -(-rows // ranks)


def run(settings: Settings, context: Context) -> str:
    """Predict on all ranks; the result tells how many rows, and the digest of the model."""
    # What lies there now is of an earlier attempt: what was there before was refused, or given up, at the start.
    again = msgspec.structs.replace(settings, force=True)
    rows, undecided = predict_file(
        again, context.communicator, lambda done, total: context.progress.step(done, total, "")
    )
    return context.publish_result(
        f"{rows} rows of {settings.data} by {settings.model}: {settings.file}",
        {
            "/result/rows": Variable((), np.array(rows), "rows that were looked at"),
            "/result/undecided": Variable((), np.array(undecided), "rows of which nothing can be said"),
        },
    )


def predict_file(
    settings: Settings, comm: Communicator, progress: Callable[[int, int], None] = lambda done, total: None
) -> tuple[int, int]:
    """Write what the model says of all rows; how many there are, and of how many it says nothing. Collective."""
    on_root(comm, lambda: check(settings))
    album = on_root(comm, lambda: _album(settings))
    if album is None:
        return _predict(settings, digest_rows, comm, progress)
    with opened(album, Path(settings.file), comm, progress) as file:
        # The file is made for this moment: only what it holds can be found again.
        return _predict(msgspec.structs.replace(settings, data=file, bad_rows="refuse"), digest_values, comm, progress)


def _predict(
    settings: Settings,
    digest_of: Callable[[Source, Communicator], str],
    comm: Communicator,
    progress: Callable[[int, int], None],
) -> tuple[int, int]:
    """The same of rows in an HDF5 file."""
    source = on_root(comm, lambda: fitting(settings))
    job, model = on_all(comm, lambda: _model(settings))
    digest = digest_of(source, comm)
    columns = on_all(comm, lambda: _columns(job, model, settings.layer, source, comm, progress))
    undecided = np.array([int((columns["labels"] == -1).sum()) if "labels" in columns else 0])
    comm.allreduce_sum(undecided)
    start = shards_of(source).rows(comm.rank, comm.size).start
    told = _told(job, settings.layer)
    variables: dict[str, Variable] = {"/prediction/id": identities(source, comm)}
    for name, values in columns.items():
        axes = ("id", *(f"{name}_axis{axis}" for axis in range(1, values.ndim)))
        variables[f"/prediction/{name}"] = Variable(axes, rows_of(values, source.rows, start), told[name])
    if settings.layer is None and "class_name" in model.arrays:
        variables["/prediction/class_name"] = Variable(("class",), model.arrays["class_name"], "name of the class")
    facts = {"model": model.file.name, "model_digest": model.digest, "data": source.file.name, "data_digest": digest}
    title = f"{source.file.name} by {model.job} of run {model.run_uuid[:8]}"
    write_file(
        Path(settings.file), Contents("prediction", title, variables, model.job, model.run_uuid, attributes=facts), comm
    )
    return source.rows, int(undecided[0])


def _columns(
    job: Any, model: Model, layer: str | None, source: Source, comm: Communicator, progress: Callable[[int, int], None]
) -> dict[str, NDArray[Any]]:
    """What is said of each row of this rank, by name."""
    span = shards_of(source).rows(comm.rank, comm.size)
    wide = widened(source.dtype)
    block = max(1, BLOCK_BYTES // (source.shape[1] * wide.itemsize))

    def said(some: NDArray[Any]) -> dict[str, NDArray[Any]]:
        found: dict[str, NDArray[Any]] = (
            job.predict(model.arrays, some) if layer is None else job.features(model.arrays, some, layer)
        )
        return found

    every = range(span.start, span.stop)
    found: list[dict[str, NDArray[Any]]] = []
    with Streamed(source, every, block, lambda rows: rows.astype(wide, copy=False), wide) as rows:
        for first in range(0, len(rows), block):
            found.append(said(rows[first : min(first + block, len(rows))]))
            progress(min(first + block, len(rows)), len(rows))
        if not found:  # a rank without rows says nothing, of the right type
            found.append(said(rows[0:0]))
    return {name: np.concatenate([one[name] for one in found]) for name in _told(job, layer)}


def _told(job: Any, layer: str | None) -> dict[str, str]:
    """The meaning of each column that is written, by its name."""
    found: dict[str, str] = job.PREDICTS if layer is None else job.FEATURES
    return found


def _model(settings: Settings) -> tuple[Any, Model]:
    """The job and its model."""
    job, file = job_of(Path(settings.model))
    if not hasattr(job, "predict"):
        raise SettingsError(f"{file}: a result of {read_model(file).job}, which cannot predict")
    return job, read_model(file, job.MODEL)
