"""k-means: Lloyd's algorithm on rows that lie over any number of ranks, with certified labels and exact sums."""

import contextlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.clustering import kmeans, minibatch, oversampling
from hpcjobs.clustering import start as starts
from hpcjobs.clustering.position import Fit, Position
from hpcjobs.clustering.table import Survey, Table, survey
from hpcjobs.data.source import locate_rows
from hpcjobs.jobs._inputs import load_centres, load_classes
from hpcjobs.jobs._kmeans_result import described, finish
from hpcjobs.jobs._kmeans_settings import DRAWN, Settings, check, counts, wanted
from hpcjobs.jobs._tables import BYTES_BESIDE, load, row_bytes, scaled_dtype, widened
from hpcjobs.kernels.compiling import compile_for
from hpcjobs.kernels.rows import rescale
from hpcjobs.parallel.communicator import leader_first, on_root
from hpcjobs.parallel.randomness import Stream
from hpcjobs.runs.context import Context

__all__ = ["Settings", "check", "describe", "need", "run"]

Floats = NDArray[np.float64]

# Python with its libraries, and the tiles in which distances are computed.
BASE_BYTES = 300 * 2**20
# A feature of the candidates of k-means||, by cluster, as they are gathered; and of the counts behind three quantiles.
CANDIDATE_BYTES = 3 * 8 * oversampling.ROUNDS * oversampling.OVERSAMPLING
DIGIT_BYTES = 3 * 8 * 6 * 256


def need(settings: Settings, ranks: int) -> int:
    """Memory of one rank in bytes: its rows, what is kept for each of them, the centres, Python itself."""
    source, asked = locate_rows(settings.data), wanted(settings)
    rows, features = -(-source.shape[0] // ranks), source.shape[1]
    each = row_bytes(source, asked)
    slab = rows * each if asked.memory is None else min(rows * each, asked.memory)
    batch = -(-settings.batch_size // ranks) * each + 32 * settings.batch_size
    centres = 64 * sum(counts(settings))
    if settings.init == "k-means-parallel":
        centres += CANDIDATE_BYTES * counts(settings)[-1]
    digits = DIGIT_BYTES if settings.scale == "robust" else 0
    return int(1.2 * slab) + batch + BYTES_BESIDE * rows + (centres + digits) * features + BASE_BYTES


def run(settings: Settings, context: Context) -> str:
    """Cluster the rows and publish the result; returns its digest.

    Steps are iterations, counted over all starts; each number of clusters that is tried makes its iteration in the
    same pass over the rows. A checkpoint holds the centres and the best start so far; labels follow from centres, so
    they need not be kept.
    """
    source = on_root(context.communicator, lambda: check(settings))
    dtype = scaled_dtype(source.dtype, wanted(settings))
    leader_first(context.communicator, lambda: compile_for(widened(source.dtype), dtype))
    step, state = context.resume(settings.checkpoint_every, settings.checkpoint_seconds)
    most = settings.max_iterations
    at = Position.restore(state, counts(settings), most, settings.restarts)
    with contextlib.closing(load(source, wanted(settings), context)) as loaded:
        table = loaded.table
        with context.timing.phase("read"):
            ground = survey(table, loaded.low, loaded.high, loaded.heaviest)
            given = None if settings.init in DRAWN else load_centres(settings.init, loaded.scaling, context)
            classes = None if settings.truth is None else load_classes(settings.truth, table, context)
        labels = np.empty(len(table.points), dtype=np.int32)

        while at.start < settings.restarts:
            for fit in at.fits:
                if fit.centres is None:
                    with context.timing.phase("start"):
                        fit.centres = first_centres(settings, fit, at.start, table, ground) if given is None else given
            with context.timing.phase("iterate"):
                while fits := [fit for fit in at.fits if fit.active(most)]:
                    if settings.batch_size:
                        iterate_batch(settings, fits, at.start, table, ground)
                    else:
                        iterate(settings, fits, table, ground, labels)
                    step += 1
                    context.history.log(step, **logged(at))
                    done = at.start * most + max(fit.iteration for fit in at.fits)
                    detail = f"start {at.start + 1}/{settings.restarts}  inertia {at.fits[-1].inertia:.6g}"
                    context.progress.step(done, settings.restarts * most, detail)
                    context.step_done(step, at.state(most))
                inertias = [inertia_of(fit, table, ground, labels) for fit in at.fits]
            at.finish_start(inertias, settings.restarts)

        context.save(step, at.state(most))
        with context.timing.phase("finish"):
            content = finish(settings, at, loaded, ground, labels, classes, source)
        found = content["/result/centres"].shape[0]
        return context.publish_result(f"k-means of {source.file.name} into {found} clusters", content)


def first_centres(settings: Settings, fit: Fit, start: int, table: Table, ground: Survey) -> Floats:
    """Starting centres (clusters, features) of one start, drawn from the rows."""
    if settings.init == "k-means-parallel":
        centres = oversampling.kmeans_parallel(table, ground.grid, fit.clusters, settings.seed, start)
    else:
        draw = starts.kmeans_plus_plus if settings.init == "k-means++" else starts.random_rows
        centres = draw(table, fit.clusters, Stream(settings.seed, "k-means start", start))
    return directed(settings, centres)


def iterate(settings: Settings, fits: list[Fit], table: Table, ground: Survey, labels: NDArray[np.int32]) -> None:
    """One iteration of Lloyd's algorithm for every fit, in one pass over the rows. Collective."""
    every = kmeans.assign_each(table, ground.grid, [centres_of(fit) for fit in fits], labels)
    for fit, totals in zip(fits, every, strict=True):
        centres = centres_of(fit)
        fit.inertia = kmeans.estimate_inertia(ground, totals, centres)
        if len(fits) > 1 and kmeans.any_empty(totals):
            kmeans.assign(table, ground.grid, centres, labels)
        kmeans.refill(table, ground.grid, centres, labels, totals)
        step_to(settings, fit, kmeans.move(ground.grid, totals, centres))
        fit.converged = fit.shift <= settings.tolerance * ground.mean_variance


def iterate_batch(settings: Settings, fits: list[Fit], start: int, table: Table, ground: Survey) -> None:
    """One mini-batch for every fit, the same one for all of them. Collective."""
    batch = minibatch.draw(table, settings.batch_size, settings.seed, start, fits[0].iteration)
    _, used = table.place()
    labels = np.empty(len(batch.points), dtype=np.int32)
    for fit in fits:
        centres = centres_of(fit)
        totals = kmeans.assign(batch, ground.grid, centres, labels)
        fit.inertia = kmeans.inertia(batch, centres, labels) * (used / batch.rows)
        seen = np.zeros(fit.clusters) if fit.seen is None else fit.seen
        moved, fit.seen = minibatch.move(ground.grid, totals, centres, seen)
        step_to(settings, fit, moved)
        if totals.masses.any():  # else no row of the batch has weight
            fit.smooth = minibatch.smooth(fit.smooth, fit.shift, batch.rows, used)
        fit.converged = fit.smooth <= settings.tolerance * ground.mean_variance


def step_to(settings: Settings, fit: Fit, moved: Floats) -> None:
    """Take the centres of the next iteration."""
    moved = directed(settings, moved)
    fit.shift = float(((moved - centres_of(fit)) ** 2).sum())
    fit.centres = moved
    fit.iteration += 1


def directed(settings: Settings, centres: Floats) -> Floats:
    """Centres that are directions have length 1."""
    if settings.metric != "cosine":
        return centres
    out = np.empty_like(centres)
    rescale(centres, np.zeros(centres.shape[1]), np.ones(centres.shape[1]), True, out)
    return out


def inertia_of(fit: Fit, table: Table, ground: Survey, labels: NDArray[np.int32]) -> float:
    """The exact inertia of a fit that has ended. Collective."""
    kmeans.assign(table, ground.grid, centres_of(fit), labels)
    return kmeans.inertia(table, centres_of(fit), labels)


def centres_of(fit: Fit) -> Floats:
    assert fit.centres is not None
    return fit.centres


def logged(at: Position) -> dict[str, float]:
    """The row of the history: of each number of clusters its own columns, where several are tried."""
    if len(at.fits) == 1:
        return {"inertia": at.fits[0].inertia, "shift": at.fits[0].shift, "start": at.start}
    inertias = {f"inertia_{fit.clusters}": fit.inertia for fit in at.fits}
    return inertias | {"shift": max(fit.shift for fit in at.fits), "start": at.start}


def describe(result: Mapping[str, Any]) -> dict[str, str]:
    """What `show` says of a result beyond what all jobs share."""
    return described(result)
