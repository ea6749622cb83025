"""Tables for tests: a whole one dealt to ranks as the job deals it, and Lloyd's loop as the job runs it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpcjobs.clustering import kmeans
from hpcjobs.clustering.table import Survey, Table, survey
from hpcjobs.parallel.communicator import Communicator, SerialCommunicator
from hpcjobs.parallel.shards import Shards

Floats = NDArray[np.float64]
Points = NDArray[np.generic]
NO_WEIGHTS = np.zeros(0)


def deal(points: Points, weights: Floats = NO_WEIGHTS, communicator: Communicator | None = None) -> Table:
    """This rank's rows of a table that every rank of the test holds."""
    comm = communicator or SerialCommunicator()
    span = Shards(len(points), min(len(points), 16384)).rows(comm.rank, comm.size)
    mine = slice(span.start, span.stop)
    return Table(points[mine], weights[mine], span.start, len(points), comm, len(span))


def survey_of(points: Points, weights: Floats, table: Table) -> Survey:
    """The survey of a table dealt from these points."""
    wide = points.astype(np.float64)
    heaviest = float(weights.max()) if len(weights) else None
    return survey(table, wide.min(axis=0), wide.max(axis=0), heaviest)


@dataclass(frozen=True)
class Fit:
    """What a run of Lloyd's loop leaves: labels are the local ones of a rank."""

    centres: Floats
    labels: NDArray[np.int32]
    inertia: float
    estimates: list[float]
    empty: int
    mean_variance: float


def lloyd(
    points: Points,
    start: Floats,
    iterations: int,
    weights: Floats = NO_WEIGHTS,
    communicator: Communicator | None = None,
) -> Fit:
    """A fixed number of iterations, then the last assignment."""
    table = deal(points, weights, communicator)
    ground = survey_of(points, weights, table)
    labels = np.empty(len(table.points), dtype=np.int32)
    centres, estimates, empty = start, [], 0
    for _ in range(iterations):
        totals = kmeans.assign(table, ground.grid, centres, labels)
        estimates.append(kmeans.estimate_inertia(ground, totals, centres))
        empty = kmeans.refill(table, ground.grid, centres, labels, totals)
        centres = kmeans.move(ground.grid, totals, centres)
    totals = kmeans.assign(table, ground.grid, centres, labels)
    estimates.append(kmeans.estimate_inertia(ground, totals, centres))
    inertia = kmeans.inertia(table, centres, labels)
    return Fit(centres, labels, inertia, estimates, empty, ground.mean_variance)


def blobs(rows: int, features: int, clusters: int, seed: int, spread: float = 0.5) -> NDArray[np.float64]:
    """Gaussian blobs around random centres."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(scale=3.0, size=(clusters, features))
    return centres[rng.integers(clusters, size=rows)] + rng.normal(scale=spread, size=(rows, features))
