"""Rows for the jobs that cluster: read or left in their file, checked, scaled, each rank its own."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.clustering import scaling as scalings
from hpcjobs.clustering.exact import BLOCK, LARGEST, runs
from hpcjobs.clustering.scaling import Scaling
from hpcjobs.clustering.table import Spread, Table, count_used, spread
from hpcjobs.data.slab import digest_rows, read_slab, refuse_rows, shards_of
from hpcjobs.data.source import Source
from hpcjobs.data.streaming import Streamed
from hpcjobs.errors import DataError
from hpcjobs.jobs._inputs import load_weights
from hpcjobs.kernels import kmeans as kernels
from hpcjobs.parallel.communicator import on_all
from hpcjobs.parallel.memory import free_memory
from hpcjobs.runs.context import Context

Floats = NDArray[np.float64]

# Types that the kernels take, and the one that holds each other type's values exactly.
TAKEN = ("float32", "float64", "uint8")
WIDENED: dict[str, np.dtype[Any]] = {
    **dict.fromkeys(("float16", "int8", "int16", "uint16"), np.dtype("float32")),
    **dict.fromkeys(("int32", "uint32"), np.dtype("float64")),
}
# Rows moved at a time when some are left out: the others close up in place, so the slab is never held twice.
ROWS_AT_A_TIME = 2**16
# Rows that stay in their file are read in blocks of about so many bytes, three of which are in memory.
BLOCK_BYTES = 2**26
# What a rank keeps for each row beside the row itself: its label, and up to two numbers while measures are taken.
BYTES_BESIDE = 25
# A feature that holds this share of all variance alone decides what is near.
OVERWHELMING = 0.99


@dataclass(frozen=True)
class Wanted:
    """How the rows are to be had. `memory`: bytes of rows that a rank may hold, None for what is free."""

    weights: str | None
    omit_missing: bool
    scale: str
    unit: bool  # the direction of a row alone counts
    refuse_zeros: bool  # a row of zeros has none
    memory: int | None


@dataclass(frozen=True)
class Loaded:
    """This rank's rows as they are clustered; low, high (features,) and the largest weight are over all ranks."""

    table: Table
    low: Floats
    high: Floats
    heaviest: float | None  # None where all rows weigh the same
    scaling: Scaling

    def close(self) -> None:
        """Give the file back, where rows were left in it."""
        if isinstance(self.table.points, Streamed):
            self.table.points.close()


def widened(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type in which rows of a source are clustered, before they are scaled."""
    return WIDENED.get(dtype.name, dtype)


def scaled_dtype(dtype: np.dtype[Any], wanted: Wanted) -> np.dtype[Any]:
    """The type of the rows as they are clustered."""
    return Scaling.none(1, unit=wanted.unit or wanted.scale != "none").dtype(widened(dtype))


def row_bytes(source: Source, wanted: Wanted) -> int:
    """Memory of one row: as it is clustered, and as it was read where that is another type."""
    used = scaled_dtype(source.dtype, wanted)
    return source.shape[1] * used.itemsize + (source.row_bytes if used != source.dtype else 0)


def load(source: Source, wanted: Wanted, context: Context) -> Loaded:
    """This rank's rows, as they are clustered. Collective; DataError names the rows that do not fit."""
    comm = context.communicator
    points = _points(source, wanted, context)
    start = shards_of(source).rows(comm.rank, comm.size).start
    dealt = len(points)
    low, high, finite = _extent(points, source.shape[1], context)
    infinite = np.flatnonzero(finite == 2) + start
    refuse_rows(source, infinite, "infinite values", "mend or remove them", comm)
    if not wanted.omit_missing:
        missing = np.flatnonzero(finite == 0) + start
        refuse_rows(source, missing, "missing values (NaN)", "leave them out with --missing omit", comm)
    if max(np.abs(bound[np.isfinite(bound)]).max(initial=0.0) for bound in (low, high)) > LARGEST:
        raise DataError(
            f"{source}: holds values beyond {LARGEST:.0e}, whose squared distances overflow; scale them down"
        )
    kept = None
    if wanted.omit_missing:
        kept = np.flatnonzero(finite == 1)
        points = points.only(kept) if isinstance(points, Streamed) else _close_up(points, kept)
    weights, heaviest = load_weights(wanted.weights, kept, context)
    table = Table(points, weights, start, source.rows, comm, dealt, kept)
    used = count_used(table)
    spread_of_raw = spread(table, low, high, used)
    _warn_of_one_feature(spread_of_raw, wanted, context)
    scaling = scalings.fit(wanted.scale, wanted.unit, table, spread_of_raw, used)
    if not scaling.changes:
        return Loaded(table, low, high, heaviest, scaling)
    table = replace(table, points=points.then(scaling) if isinstance(points, Streamed) else _scaled(points, scaling))
    low, high, finite = _extent(table.points, source.shape[1], context)
    _refuse(source, table, np.flatnonzero(finite != 1), "values too large once scaled", "use --scale standard")
    if wanted.refuse_zeros:
        _refuse_zeros(source, table)
    return Loaded(table, low, high, heaviest, scaling)


def _points(source: Source, wanted: Wanted, context: Context) -> NDArray[Any] | Streamed:
    """This rank's rows in memory, or, where they are too many on any rank, left in their file. Collective."""
    comm = context.communicator
    span = shards_of(source).rows(comm.rank, comm.size)
    wide = widened(source.dtype)
    each = row_bytes(source, wanted)
    if wanted.memory is None:
        budget = max(0, free_memory(comm) - BYTES_BESIDE * len(span))
    else:
        budget = wanted.memory
    short = np.array([len(span) * each > budget], dtype=np.int64)
    comm.allreduce_max(short)
    if not short[0]:
        slab = read_slab(source, comm)
        context.use_input(source, slab.digest)
        return slab.rows.astype(wide, copy=False)
    context.use_input(source, digest_rows(source, comm))
    block = max(1, min(BLOCK_BYTES, budget // 4) // each)
    block -= block % BLOCK if block > BLOCK else 0  # no run of rows lies across two blocks
    gib = source.rows * source.row_bytes / 2**30
    context.progress.say(f"{source}: {gib:.3g} GiB stay in the file, of which {block} rows are read at a time")
    return Streamed(source, range(span.start, span.stop), block, lambda rows: rows.astype(wide, copy=False), wide)


def _extent(
    points: NDArray[Any] | Streamed, features: int, context: Context
) -> tuple[Floats, Floats, NDArray[np.uint8]]:
    """Smallest and largest value of each feature over all ranks, and which local rows are finite. Collective."""
    low = np.full(features, np.inf)
    high = -low
    finite = np.empty(len(points), dtype=np.uint8)

    def look() -> None:
        for run in runs(len(points), points.block if isinstance(points, Streamed) else max(1, len(points))):
            kernels.extent(points[run], low, high, finite[run])

    on_all(context.communicator, look)  # where rows stay in their file, damage is found now
    bounds = np.concatenate([-low, high])
    context.communicator.allreduce_max(bounds)
    return -bounds[:features], bounds[features:], finite


def _scaled(points: NDArray[Any], scaling: Scaling) -> NDArray[Any]:
    """Rows in memory, scaled a block at a time: in place where their type allows it."""
    dtype = scaling.dtype(points.dtype)
    out = points if dtype == points.dtype else np.empty(points.shape, dtype=dtype)
    for run in runs(len(points)):
        out[run] = scaling(points[run])
    return out


def _refuse_zeros(source: Source, table: Table) -> None:
    """Refuse rows of nothing but zeros, which point nowhere. Collective."""
    zeros = [run.start + np.flatnonzero(~table.points[run].any(axis=1)) for run in table.runs()]
    rows = np.concatenate([np.zeros(0, dtype=np.int64), *zeros])
    advice = "remove them, or use --metric euclidean"
    _refuse(source, table, rows, "nothing but zeros, which have no direction", advice)


def _refuse(source: Source, table: Table, rows: NDArray[np.int64], what: str, advice: str) -> None:
    """Refuse some rows of a table, by their identity in the source. Collective."""
    dealt = rows if table.kept is None else table.kept[rows]
    refuse_rows(source, dealt + table.start, what, advice, table.communicator)


def _warn_of_one_feature(found: Spread, wanted: Wanted, context: Context) -> None:
    total = float(found.variance.sum())
    if wanted.scale != "none" or len(found.variance) == 1 or total == 0:
        return
    most = int(np.argmax(found.variance))
    share = float(found.variance[most]) / total
    if share >= OVERWHELMING:
        context.progress.say(
            f"feature {most} holds {100 * share:.4g} % of the variance, so that it alone decides the clusters; "
            "if features have different units: --scale standard"
        )


def _close_up(rows: NDArray[np.generic], kept: NDArray[np.int64]) -> NDArray[np.generic]:
    """The kept rows, moved to the front of `rows` itself."""
    for start in range(0, len(kept), ROWS_AT_A_TIME):
        some = kept[start : start + ROWS_AT_A_TIME]
        rows[start : start + len(some)] = rows[some]
    return rows[: len(kept)]
