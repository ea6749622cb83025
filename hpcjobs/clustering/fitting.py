"""The steps of a k-means fit, for one number of clusters or several at once: starting, iterating, measuring."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpcjobs.clustering import kmeans, minibatch
from hpcjobs.clustering import start as starts
from hpcjobs.clustering.oversampling import kmeans_parallel
from hpcjobs.clustering.position import Fit
from hpcjobs.clustering.table import Labels, Survey, Table
from hpcjobs.kernels.rows import rescale
from hpcjobs.parallel.randomness import Stream

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Options:
    """How to fit. `batch_size` 0: all rows; `directions`: rows and centres have length 1, the angle alone counts."""

    init: str  # k-means++ | k-means-parallel | random
    seed: int
    tolerance: float
    batch_size: int = 0
    directions: bool = False


def first_centres(
    options: Options, clusters: int, start: int, table: Table, ground: Survey, given: Floats | None = None
) -> Floats:
    """Starting centres (clusters, features) of one start, drawn from the rows if they are not given. Collective."""
    if given is not None:
        return given
    if options.init == "k-means-parallel":
        centres = kmeans_parallel(table, ground.grid, clusters, options.seed, start)
    else:
        draw = starts.kmeans_plus_plus if options.init == "k-means++" else starts.random_rows
        centres = draw(table, clusters, Stream(options.seed, "k-means start", start))
    return directed(options, centres)


def iterate(options: Options, fits: Sequence[Fit], start: int, table: Table, ground: Survey, labels: Labels) -> None:
    """One iteration of every fit, in one pass over the rows or by one batch of them. Collective."""
    if options.batch_size:
        _iterate_batch(options, fits, start, table, ground)
        return
    every = kmeans.assign_each(table, ground.grid, [centres_of(fit) for fit in fits], labels)
    for fit, totals in zip(fits, every, strict=True):
        centres = centres_of(fit)
        fit.inertia = kmeans.estimate_inertia(ground, totals, centres)
        if len(fits) > 1 and kmeans.any_empty(totals):
            kmeans.assign(table, ground.grid, centres, labels)
        kmeans.refill(table, ground.grid, centres, labels, totals)
        _step_to(options, fit, kmeans.move(ground.grid, totals, centres))
        fit.converged = fit.shift <= options.tolerance * ground.mean_variance


def _iterate_batch(options: Options, fits: Sequence[Fit], start: int, table: Table, ground: Survey) -> None:
    batch = minibatch.draw(table, options.batch_size, options.seed, start, fits[0].iteration)
    _, used = table.place()
    labels = np.empty(len(batch.points), dtype=np.int32)
    for fit in fits:
        centres = centres_of(fit)
        totals = kmeans.assign(batch, ground.grid, centres, labels)
        fit.inertia = kmeans.inertia(batch, centres, labels) * (used / batch.rows)
        seen = np.zeros(fit.clusters) if fit.seen is None else fit.seen
        moved, fit.seen = minibatch.move(ground.grid, totals, centres, seen)
        _step_to(options, fit, moved)
        if totals.masses.any():  # else no row of the batch has weight
            fit.smooth = minibatch.smooth(fit.smooth, fit.shift, batch.rows, used)
        fit.converged = fit.smooth <= options.tolerance * ground.mean_variance


def _step_to(options: Options, fit: Fit, moved: Floats) -> None:
    """Take the centres of the next iteration."""
    moved = directed(options, moved)
    fit.shift = float(((moved - centres_of(fit)) ** 2).sum())
    fit.centres = moved
    fit.iteration += 1


def directed(options: Options, centres: Floats) -> Floats:
    """Centres (clusters, features), of length 1 where they are directions."""
    if not options.directions:
        return centres
    out = np.empty_like(centres)
    rescale(centres, np.zeros(centres.shape[1]), np.ones(centres.shape[1]), True, out)
    return out


def inertia_of(fit: Fit, table: Table, ground: Survey, labels: Labels) -> float:
    """The exact inertia of a fit that has ended; its labels (local rows,) are left in `labels`. Collective."""
    kmeans.assign(table, ground.grid, centres_of(fit), labels)
    return kmeans.inertia(table, centres_of(fit), labels)


def centres_of(fit: Fit) -> Floats:
    """The centres of a fit that was started."""
    assert fit.centres is not None
    return fit.centres
