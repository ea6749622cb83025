"""k-means: Lloyd's algorithm on rows that lie over any number of ranks, with certified labels and exact sums."""

import contextlib
from collections.abc import Mapping
from typing import Any

from hpcjobs.clustering.assignment import Assignment, beside
from hpcjobs.clustering.fitting import Options, first_centres, inertia_of, iterate
from hpcjobs.clustering.oversampling import OVERSAMPLING, ROUNDS
from hpcjobs.clustering.position import Position
from hpcjobs.clustering.table import survey
from hpcjobs.data.source import locate_features
from hpcjobs.jobs._clusters import figures
from hpcjobs.jobs._inputs import load_centres, load_classes
from hpcjobs.jobs._kmeans_predict import MODEL, PREDICTS, predict, shape_of
from hpcjobs.jobs._kmeans_result import described, finish
from hpcjobs.jobs._kmeans_settings import DRAWN, Settings, check, counts, wanted
from hpcjobs.jobs._tables import BYTES_BESIDE, load, row_bytes, scaled_dtype, widened
from hpcjobs.kernels.compiling import compile_for
from hpcjobs.parallel.communicator import leader_first, on_root
from hpcjobs.runs.context import Context

__all__ = ["MODEL", "PREDICTS", "Settings", "check", "describe", "figures", "need", "predict", "run", "shape_of"]

# Python with its libraries, and the tiles in which distances are computed.
BASE_BYTES = 300 * 2**20
# A feature of the candidates of k-means||, by cluster, as they are gathered; and of the counts behind three quantiles.
CANDIDATE_BYTES = 3 * 8 * ROUNDS * OVERSAMPLING
DIGIT_BYTES = 3 * 8 * 6 * 256


def need(settings: Settings, ranks: int) -> int:
    """Memory of one rank in bytes: its rows, what is kept for each of them, the centres, Python itself."""
    source, asked = locate_features(settings.data), wanted(settings)
    rows, features = -(-source.shape[0] // ranks), source.shape[1]
    each = row_bytes(source, asked)
    slab = rows * each if asked.memory is None else min(rows * each, asked.memory)
    batch = -(-settings.batch_size // ranks) * each + 32 * settings.batch_size
    centres = 64 * sum(counts(settings))
    if settings.init == "k-means-parallel":
        centres += CANDIDATE_BYTES * counts(settings)[-1]
    digits = DIGIT_BYTES if settings.scale == "robust" else 0
    kept = BYTES_BESIDE * rows + beside(rows, counts(settings)[-1])
    return int(1.2 * slab) + batch + kept + (centres + digits) * features + BASE_BYTES


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
    most, options = settings.max_iterations, options_of(settings)
    at = Position.restore(state, counts(settings), most, settings.restarts)
    with context.timing.phase("read"):
        loaded = load(source, wanted(settings), context)
    with contextlib.closing(loaded):
        table = loaded.table
        with context.timing.phase("survey"):
            ground = survey(table, loaded.low, loaded.high, loaded.heaviest)
            given = None if settings.init in DRAWN else load_centres(settings.init, loaded.scaling, context)
            classes = None if settings.truth is None else load_classes(settings.truth, table, context)
        rows = Assignment(len(table.points))

        while at.start < settings.restarts:
            for fit in at.fits:
                if fit.centres is None:
                    with context.timing.phase("start"):
                        fit.centres = first_centres(options, fit.clusters, at.start, table, ground, given)
            with context.timing.phase("iterate"):
                while fits := [fit for fit in at.fits if fit.active(most)]:
                    iterate(options, fits, at.start, table, ground, rows)
                    step += 1
                    context.history.log(step, **logged(at))
                    done = at.start * most + max(fit.iteration for fit in at.fits)
                    detail = f"start {at.start + 1}/{settings.restarts}  inertia {at.fits[-1].inertia:.6g}"
                    context.progress.step(done, settings.restarts * most, detail)
                    context.step_done(step, at.state(most))
                inertias = [inertia_of(fit, table, ground, rows) for fit in at.fits]
            at.finish_start(inertias, settings.restarts)

        context.save(step, at.state(most))
        with context.timing.phase("finish"):
            content = finish(settings, at, loaded, ground, rows, classes, source)
        found = content["/result/centres"].shape[0]
        return context.publish_result(f"k-means of {source.file.name} into {found} clusters", content)


def options_of(settings: Settings) -> Options:
    """How to fit."""
    return Options(settings.init, settings.seed, settings.tolerance, settings.batch_size, settings.metric == "cosine")


def logged(at: Position) -> dict[str, float]:
    """The row of the history: of each number of clusters its own columns, where several are tried."""
    if len(at.fits) == 1:
        return {"inertia": at.fits[0].inertia, "shift": at.fits[0].shift, "start": at.start}
    inertias = {f"inertia_{fit.clusters}": fit.inertia for fit in at.fits}
    return inertias | {"shift": max(fit.shift for fit in at.fits), "start": at.start}


def describe(result: Mapping[str, Any]) -> dict[str, str]:
    """What `show` says of a result beyond what all jobs share."""
    return described(result)
