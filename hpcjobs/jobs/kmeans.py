"""k-means: Lloyd's algorithm on rows that lie over any number of ranks, with certified labels and exact sums."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from hpcjobs.clustering import kmeans
from hpcjobs.clustering import start as starts
from hpcjobs.clustering.exact import runs
from hpcjobs.clustering.position import Best, Position
from hpcjobs.clustering.table import Table, survey
from hpcjobs.data.schema import Variable, rows_of
from hpcjobs.data.slab import identities
from hpcjobs.data.source import Source, locate
from hpcjobs.errors import SettingsError
from hpcjobs.jobs._clusters import figures as figures
from hpcjobs.jobs._tables import load, load_centres
from hpcjobs.kernels.kmeans import compile_for
from hpcjobs.parallel.communicator import leader_first, on_root
from hpcjobs.parallel.randomness import Stream
from hpcjobs.runs.context import Context
from hpcjobs.settings import setting

# Python with its libraries, and the tiles in which distances are computed.
BASE_BYTES = 300 * 2**20
DRAWN = ("k-means++", "random")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a k-means run can be told."""

    data: Annotated[str, setting("rows to cluster: FILE.h5 or FILE.h5:/path, shape rows x features", kind="data")]
    clusters: Annotated[int, setting("number of clusters", ge=1, le=2**31 - 1)]
    init: Annotated[
        str,
        setting(
            "starting centres: k-means++, random, or FILE.h5:/path of clusters x features",
            kind="data",
            words=DRAWN,
        ),
    ] = "k-means++"
    restarts: Annotated[int, setting("how many starts to try; the one of lowest inertia wins", ge=1, le=2**31 - 1)] = 1
    max_iterations: Annotated[int, setting("most iterations of one start", ge=1, le=2**31 - 1, extendable=True)] = 300
    tolerance: Annotated[
        float,
        setting(
            "stop when the centres' summed squared shift is at most this times the mean feature variance",
            ge=0,
        ),
    ] = 1e-4
    weights: Annotated[str | None, setting("weight of each row: FILE.h5:/path, one number a row", kind="data")] = None
    seed: Annotated[int, setting("seed of the starting centres", ge=0)] = 0
    missing: Annotated[
        Literal["refuse", "omit"],
        setting("what to do with rows that hold NaN: stop, or give them the label -1"),
    ] = "refuse"
    checkpoint_every: Annotated[
        int, setting("save a checkpoint every so many iterations (0: by time only)", ge=0, volatile=True)
    ] = 0
    checkpoint_seconds: Annotated[
        float, setting("save a checkpoint every so many seconds (0: by iterations only)", ge=0, volatile=True)
    ] = 60.0


def check(settings: Settings) -> Source:
    """Find every mistake that can be found without reading the data; return where the rows lie."""
    source = locate(settings.data, dimensions=2)
    rows, features = source.shape
    if source.dtype.name not in ("float32", "float64", "uint8"):
        raise SettingsError(
            f"--data {source}: holds {source.dtype}, expected float32, float64 or uint8; "
            f"convert it: hpcjobs data import {source} OUT.h5 --dtype float64"
        )
    if settings.clusters > rows:
        raise SettingsError(
            f"--clusters is {settings.clusters}, but {source} has {rows} rows; at most one cluster a row"
        )
    if settings.init not in DRAWN:
        named = Path(settings.init)
        if not named.suffix and ":/" not in settings.init and not named.exists():
            raise SettingsError(f"--init is {named.name!r}; expected k-means++, random, or FILE.h5:/path of centres")
        centres = locate(settings.init, dimensions=2)
        if centres.shape != (settings.clusters, features):
            raise SettingsError(
                f"--init {centres}: has shape {centres.shape}, expected clusters x features, "
                f"{(settings.clusters, features)}"
            )
        if settings.restarts > 1:
            raise SettingsError("--restarts needs a random start; with given centres every start would be the same")
    if settings.weights is not None:
        weights = locate(settings.weights, dimensions=1)
        if weights.shape != (rows,):
            raise SettingsError(f"--weights {weights}: {weights.shape[0]} values for {rows} rows")
    return source


def need(settings: Settings, ranks: int) -> int:
    """Memory of one rank in bytes: its rows, what is kept for each of them, the centres, Python itself."""
    source = locate(settings.data, dimensions=2)
    rows, features = -(-source.shape[0] // ranks), source.shape[1]
    slab = rows * features * source.dtype.itemsize
    return int(1.2 * slab) + 25 * rows + 64 * settings.clusters * features + BASE_BYTES


def run(settings: Settings, context: Context) -> str:
    """Cluster the rows and publish the result; returns its digest.

    Steps are iterations, counted over all starts. A checkpoint holds the centres and the best start so far; labels
    follow from centres, so they need not be kept.
    """
    source = on_root(context.communicator, lambda: check(settings))
    leader_first(context.communicator, lambda: compile_for(source.dtype))
    step, state = context.resume(settings.checkpoint_every, settings.checkpoint_seconds)
    at = Position.restore(state, settings.max_iterations, settings.restarts)
    with context.timing.phase("read"):
        table, low, high, heaviest = load(source, settings.weights, settings.missing == "omit", context)
        ground = survey(table, low, high, heaviest)
        given = None if settings.init in DRAWN else load_centres(settings.init, context)
    labels = np.empty(len(table.points), dtype=np.int32)
    labelled = None  # the start that the labels belong to: none yet in a run resumed after its last iteration

    while at.start < settings.restarts:
        if at.centres is None:
            with context.timing.phase("start"):
                at.centres = first_centres(settings, at.start, table) if given is None else given
        with context.timing.phase("iterate"):
            while at.iteration < settings.max_iterations and not at.converged:
                totals = kmeans.assign(table, ground.grid, at.centres, labels)
                inertia = kmeans.estimate_inertia(ground, totals, at.centres)
                kmeans.refill(table, ground.grid, at.centres, labels, totals)
                moved = kmeans.move(ground.grid, totals, at.centres)
                shift = float(((moved - at.centres) ** 2).sum())
                at.centres = moved
                at.converged = shift <= settings.tolerance * ground.mean_variance
                at.iteration += 1
                step += 1
                context.history.log(step, inertia=inertia, shift=shift, start=at.start)
                most = settings.max_iterations
                detail = f"start {at.start + 1}/{settings.restarts}  inertia {inertia:.6g}"
                context.progress.step(at.start * most + at.iteration, settings.restarts * most, detail)
                context.step_done(step, at.state(settings.max_iterations))
            kmeans.assign(table, ground.grid, at.centres, labels)
        labelled = at.start
        at.finish_start(kmeans.inertia(table, at.centres, labels))

    assert at.best is not None
    if at.best.start != labelled:
        kmeans.assign(table, ground.grid, at.best.centres, labels)
    context.save(step, at.state(settings.max_iterations))
    return context.publish_result(
        f"k-means of {source.file.name} into {settings.clusters} clusters",
        result(at.best, table, labels, source),
    )


def first_centres(settings: Settings, start: int, table: Table) -> NDArray[np.float64]:
    """Starting centres (clusters, features) of one start, drawn from the rows."""
    stream = Stream(settings.seed, "k-means start", start)
    draw = starts.kmeans_plus_plus if settings.init == "k-means++" else starts.random_rows
    return draw(table, settings.clusters, stream)


def result(best: Best, table: Table, labels: NDArray[np.int32], source: Source) -> dict[str, Variable]:
    """The `/result` data sets."""
    comm = table.communicator
    counts = np.zeros(len(best.centres), dtype=np.int64)
    for run in runs(len(labels)):
        counts += np.bincount(labels[run], minlength=len(counts))
    comm.allreduce_sum(counts)
    if table.kept is not None:
        every = np.full(table.dealt, -1, dtype=np.int32)
        every[table.kept] = labels
        labels = every
    return {
        "/result/id": identities(source, comm),
        "/result/labels": Variable(
            ("id",), rows_of(labels, table.rows, table.start), "cluster of each row, -1 if left out"
        ),
        "/result/centres": Variable(
            ("cluster", "feature"), best.centres, "centre of each cluster, in units of the data"
        ),
        "/result/counts": Variable(("cluster",), counts, "rows of each cluster"),
        "/result/inertia": Variable(
            (), np.array(best.inertia), "sum of weighted squared distances to the nearest centre"
        ),
        "/result/iterations": Variable((), np.array(best.iterations), "iterations of the best start"),
        "/result/converged": Variable((), np.array(best.converged, dtype=np.uint8), "1 if the tolerance was met"),
        "/result/start": Variable((), np.array(best.start), "number of the best start, from 0"),
    }


def describe(result: Mapping[str, Any]) -> dict[str, str]:
    """What `show` says of a result beyond what all jobs share."""
    counts = result["counts"]
    clusters, features = result["centres"]["shape"]
    met = "met" if result["converged"] else "not met: more --max-iterations would move the centres further"
    return {
        "clusters": f"{clusters} in {features} features, {min(counts)} to {max(counts)} rows each",
        "inertia": f"{result['inertia']:.10g}",
        "iterations": f"{result['iterations']} (tolerance {met})",
    }
