"""What else the jobs that cluster are given: weights, starting centres and known classes."""

import numpy as np
from numpy.typing import NDArray

from hpcjobs.clustering.agreement import Classes, number_classes
from hpcjobs.clustering.exact import LARGEST
from hpcjobs.clustering.scaling import Scaling
from hpcjobs.clustering.table import Table
from hpcjobs.data.slab import read_slab, refuse_rows
from hpcjobs.data.source import find_source
from hpcjobs.errors import SettingsError
from hpcjobs.parallel.communicator import SerialCommunicator, on_root
from hpcjobs.runs.context import Context

Floats = NDArray[np.float64]


def load_weights(name: str | None, kept: NDArray[np.int64] | None, context: Context) -> tuple[Floats, float | None]:
    """The weights of this rank's `kept` rows (local rows,), of all for None, and the largest of all ranks.

    (0,) and None where no weights are given. Collective.
    """
    if name is None:
        return np.zeros(0), None
    comm = context.communicator
    source = find_source(name, 1, comm)
    slab = read_slab(source, comm)
    context.use_input(source, slab.digest)
    weights = slab.rows.astype(np.float64)
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0))) + slab.start
    refuse_rows(source, wrong, "a weight that is negative, NaN or infinite", "mend them", comm)
    if kept is not None:
        weights = weights[kept]
    heaviest = np.array([weights.max(initial=0.0)])
    comm.allreduce_max(heaviest)
    if heaviest[0] == 0:
        left_out = "" if kept is None else " of the rows that are not left out"
        raise SettingsError(f"--weights {source}: every weight{left_out} is 0; at least one must be positive")
    return weights, float(heaviest[0])


def load_centres(name: str, scaling: Scaling, context: Context) -> Floats:
    """Starting centres (clusters, features) from a file, in units of the data there, scaled here, on every rank."""
    comm = context.communicator
    source = find_source(name, 2, comm)
    slab = on_root(comm, lambda: read_slab(source, SerialCommunicator()))
    context.use_input(source, slab.digest)
    centres = slab.rows.astype(np.float64)
    wrong = np.flatnonzero(~(np.abs(centres) <= LARGEST).all(axis=1))
    if len(wrong):
        raise SettingsError(f"--init {source}: centre {wrong[0]} is not finite, or beyond {LARGEST:.0e}")
    return scaling(centres)


def load_classes(name: str, table: Table, context: Context) -> Classes:
    """The known class of each row of a table that is used. Collective."""
    comm = context.communicator
    source = find_source(name, 1, comm)
    slab = read_slab(source, comm)
    context.use_input(source, slab.digest)
    with np.errstate(invalid="ignore"):  # of NaN
        whole = slab.rows.astype(np.int64)
    wrong = np.flatnonzero(whole != slab.rows) + slab.start
    refuse_rows(source, wrong, "a class that is no whole number", "number the classes", comm)
    classes = number_classes(whole if table.kept is None else whole[table.kept], comm)
    unknown = np.array([(classes.numbers < 0).sum()], dtype=np.int64)
    comm.allreduce_sum(unknown)
    if unknown[0]:
        context.progress.say(f"{source}: {unknown[0]} rows have a negative class, which is unknown and does not count")
    return classes
