"""Rows and weights for the jobs that cluster: read, checked, each rank its own."""

import numpy as np
from numpy.typing import NDArray

from hpcjobs.clustering.exact import LARGEST
from hpcjobs.clustering.table import Table
from hpcjobs.data.slab import read_slab, refuse_rows
from hpcjobs.data.source import Source, find_source
from hpcjobs.errors import DataError, SettingsError
from hpcjobs.kernels import kmeans as kernels
from hpcjobs.parallel.communicator import SerialCommunicator, on_root
from hpcjobs.runs.context import Context

Floats = NDArray[np.float64]

# Rows moved at a time when some are left out: the others close up in place, so the slab is never held twice.
ROWS_AT_A_TIME = 2**16


def load(
    source: Source, weights_name: str | None, omit_missing: bool, context: Context
) -> tuple[Table, Floats, Floats, float | None]:
    """This rank's rows and weights; smallest and largest value of each feature and largest weight, over all ranks.

    The largest weight is None where all rows weigh the same. Collective; DataError names the rows that do not fit.
    """
    comm = context.communicator
    slab = read_slab(source, comm)
    context.use_input(source, slab.digest)
    features = source.shape[1]
    low = np.full(features, np.inf)
    high = -low
    finite = np.empty(len(slab.rows), dtype=np.uint8)
    kernels.extent(slab.rows, low, high, finite)
    bounds = np.concatenate([-low, high])
    comm.allreduce_max(bounds)
    infinite = np.flatnonzero(finite == 2) + slab.start
    refuse_rows(source, infinite, "infinite values", "mend or remove them", comm)
    if not omit_missing:
        missing = np.flatnonzero(finite == 0) + slab.start
        refuse_rows(source, missing, "missing values (NaN)", "leave them out with --missing omit", comm)
    if np.abs(bounds[np.isfinite(bounds)]).max(initial=0.0) > LARGEST:
        raise DataError(
            f"{source}: holds values beyond {LARGEST:.0e}, whose squared distances overflow; scale them down"
        )
    weights, heaviest = load_weights(weights_name, context)
    points, kept = slab.rows, None
    if omit_missing:
        kept = np.flatnonzero(finite == 1)
        points = _close_up(points, kept)
        weights = weights[kept] if len(weights) else weights
    table = Table(points, weights, slab.start, source.rows, comm, len(slab.rows), kept)
    return table, -bounds[:features], bounds[features:], heaviest


def load_weights(name: str | None, context: Context) -> tuple[Floats, float | None]:
    """This rank's weights (local rows,) and the largest of all ranks; (0,) and None without any."""
    if name is None:
        return np.zeros(0), None
    comm = context.communicator
    source = find_source(name, 1, comm)
    slab = read_slab(source, comm)
    context.use_input(source, slab.digest)
    weights = slab.rows.astype(np.float64)
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0))) + slab.start
    refuse_rows(source, wrong, "a weight that is negative, NaN or infinite", "mend them", comm)
    heaviest = np.array([weights.max(initial=0.0)])
    comm.allreduce_max(heaviest)
    if heaviest[0] == 0:
        raise SettingsError(f"--weights {source}: every weight is 0; at least one must be positive")
    return weights, float(heaviest[0])


def load_centres(name: str, context: Context) -> Floats:
    """Starting centres (clusters, features) from a file, on every rank."""
    comm = context.communicator
    source = find_source(name, 2, comm)
    slab = on_root(comm, lambda: read_slab(source, SerialCommunicator()))
    context.use_input(source, slab.digest)
    centres = slab.rows.astype(np.float64)
    wrong = np.flatnonzero(~(np.abs(centres) <= LARGEST).all(axis=1))
    if len(wrong):
        raise SettingsError(f"--init {source}: centre {wrong[0]} is not finite, or beyond {LARGEST:.0e}")
    return centres


def _close_up(rows: NDArray[np.generic], kept: NDArray[np.int64]) -> NDArray[np.generic]:
    """The kept rows, moved to the front of `rows` itself."""
    for start in range(0, len(kept), ROWS_AT_A_TIME):
        some = kept[start : start + ROWS_AT_A_TIME]
        rows[start : start + len(some)] = rows[some]
    return rows[: len(kept)]
