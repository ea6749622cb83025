"""k-means: Lloyd's algorithm on rows that lie over any number of ranks, with certified labels and exact sums."""

import contextlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from hpcjobs.clustering.fitting import Options, first_centres, inertia_of, iterate
from hpcjobs.clustering.position import Position
from hpcjobs.clustering.table import survey
from hpcjobs.data.source import locate_features
from hpcjobs.jobs._clusters import figures
from hpcjobs.jobs._inputs import load_centres
from hpcjobs.jobs._kmeans_predict import MODEL, PREDICTS, predict, shape_of
from hpcjobs.jobs._kmeans_result import described, finish
from hpcjobs.jobs._kmeans_settings import DRAWN, Settings, check, counts, memory, wanted
from hpcjobs.jobs._tables import load, scaled_dtype, widened
from hpcjobs.kernels.compiling import compile_for
from hpcjobs.parallel.communicator import leader_first, on_root
from hpcjobs.runs.context import Context

__all__ = ["MODEL", "PREDICTS", "Settings", "check", "describe", "figures", "need", "predict", "run", "shape_of"]

# Python with its libraries, and the tiles in which distances are computed.
BASE_BYTES = 300 * 2**20


def need(settings: Settings, ranks: int) -> int:
    """Memory of one rank in bytes: its rows, what is kept for each of them, the centres, Python itself."""
    source = locate_features(settings.data)
    rows, features = -(-source.shape[0] // ranks), source.shape[1]
    stored, used = source.dtype.itemsize, scaled_dtype(source.dtype, settings.scale, settings.metric).itemsize
    slab = rows * features * (used + (stored if used != stored else 0))
    most = memory(settings)
    centres = sum(counts(settings))
    return int(1.2 * (slab if most is None else min(slab, most))) + 25 * rows + 64 * centres * features + BASE_BYTES


def run(settings: Settings, context: Context) -> str:
    """Cluster the rows and publish the result; returns its digest.

    Steps are iterations, counted over all starts; each number of clusters that is tried makes its iteration in the
    same pass over the rows. A checkpoint holds the centres and the best start so far; labels follow from centres, so
    they need not be kept.
    """
    source = on_root(context.communicator, lambda: check(settings))
    dtype = scaled_dtype(source.dtype, settings.scale, settings.metric)
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
        labels = np.empty(len(table.points), dtype=np.int32)

        while at.start < settings.restarts:
            for fit in at.fits:
                if fit.centres is None:
                    with context.timing.phase("start"):
                        fit.centres = first_centres(options, fit.clusters, at.start, table, ground, given)
            with context.timing.phase("iterate"):
                while fits := [fit for fit in at.fits if fit.active(most)]:
                    iterate(options, fits, at.start, table, ground, labels)
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
            content = finish(settings, at, loaded, ground, labels, source, context)
        return context.publish_result(f"k-means of {source.file.name} into {settings.clusters} clusters", content)


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
