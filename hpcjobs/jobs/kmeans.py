"""k-means: Lloyd's algorithm on rows that lie over any number of ranks, with certified labels and exact sums."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from hpcjobs.errors import SettingsError
from hpcjobs.parallel.communicator import leader_first, on_root
from hpcjobs.settings import setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from hpcjobs.clustering.table import Table
    from hpcjobs.data.schema import Variable
    from hpcjobs.data.source import Source
    from hpcjobs.runs.context import Context


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a k-means run can be told."""

    data: Annotated[str, setting("rows to cluster: FILE.h5 or FILE.h5:/path, shape rows x features", kind="data")]
    clusters: Annotated[int, setting("number of clusters", ge=1, le=2**31 - 1)]
    init: Annotated[
        str, setting("starting centres: k-means++, random, or FILE.h5:/path of clusters x features", kind="data")
    ] = "k-means++"
    restarts: Annotated[int, setting("how many starts to try; the one of lowest inertia wins", ge=1)] = 1
    max_iterations: Annotated[int, setting("most iterations of one start", ge=1, extendable=True)] = 300
    tolerance: Annotated[
        float,
        setting("stop when the centres' summed squared shift is at most this times the mean feature variance", ge=0),
    ] = 1e-4
    weights: Annotated[str | None, setting("weight of each row: FILE.h5:/path, one number a row", kind="data")] = None
    seed: Annotated[int, setting("seed of the starting centres", ge=0)] = 0
    missing: Annotated[
        Literal["refuse", "omit"], setting("what to do with rows that hold NaN: stop, or give them the label -1")
    ] = "refuse"
    checkpoint_every: Annotated[
        int, setting("save a checkpoint every so many iterations (0: by time only)", ge=0, volatile=True)
    ] = 0
    checkpoint_seconds: Annotated[
        float, setting("save a checkpoint every so many seconds (0: by iterations only)", ge=0, volatile=True)
    ] = 60.0


def check(settings: Settings) -> "Source":
    """Find every mistake that can be found without reading the data; return where the rows lie."""
    from hpcjobs.data.source import locate

    source = locate(settings.data, dimensions=2)
    rows, features = source.shape
    if source.dtype.name not in ("float32", "float64", "uint8"):
        raise SettingsError(
            f"--data {source}: holds {source.dtype}, expected float32, float64 or uint8; "
            f"convert it: hpcjobs data import {source} OUT.h5 --dtype float64"
        )
    if settings.clusters > rows:
        raise SettingsError(f"--clusters is {settings.clusters}, but {source} has {rows} rows; at most one cluster a row")
    if settings.init not in ("k-means++", "random"):
        if ".h5" not in settings.init and "/" not in settings.init:
            raise SettingsError(f"--init is {settings.init!r}; expected k-means++, random, or FILE.h5:/path of centres")
        centres = locate(settings.init, dimensions=2)
        if centres.shape != (settings.clusters, features):
            raise SettingsError(
                f"--init {centres}: shape {centres.shape}, expected {(settings.clusters, features)} (clusters, features)"
            )
        if settings.restarts > 1:
            raise SettingsError("--restarts needs a random start; with given centres every start would be the same")
    if settings.weights is not None:
        weights = locate(settings.weights, dimensions=1)
        if weights.shape != (rows,):
            raise SettingsError(f"--weights {weights}: {weights.shape[0]} values for {rows} rows")
    return source


def run(settings: Settings, context: "Context") -> str:
    """Cluster the rows and publish the result; returns its digest.

    Steps are iterations, counted over all starts. A checkpoint holds the centres and the best start so far; labels
    follow from centres, so they need not be kept.
    """
    import numpy as np

    from hpcjobs.clustering import kmeans
    from hpcjobs.clustering.table import survey
    from hpcjobs.kernels.kmeans import compile_for

    source = on_root(context.communicator, lambda: check(settings))
    leader_first(context.communicator, lambda: compile_for(source.dtype))
    table, low, high, heaviest = load(settings, source, context)
    ground = survey(table, low, high, heaviest)
    step, state = context.resume(settings.checkpoint_every, settings.checkpoint_seconds)
    at = Position.restore(state, settings)
    labels = np.empty(len(table.points), dtype=np.int32)

    while at.start < settings.restarts:
        if at.centres is None:
            context.progress.say(f"start {at.start + 1} of {settings.restarts}: choosing {settings.clusters} centres")
            at.centres = first_centres(settings, at.start, table)
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
            context.progress.step(at.iteration, settings.max_iterations, f"inertia {inertia:.6g}")
            context.step_done(step, at.state(settings))
        kmeans.assign(table, ground.grid, at.centres, labels)
        at.finish_start(kmeans.inertia(table, at.centres, labels))

    assert at.best is not None
    if at.best.start != settings.restarts - 1:
        kmeans.assign(table, ground.grid, at.best.centres, labels)
    context.save(step, at.state(settings))
    return context.publish_result(
        f"k-means of {source.file.name} into {settings.clusters} clusters", result(at.best, table, labels, source)
    )


@dataclass(frozen=True)
class Best:
    """The best finished start: centres (clusters, features)."""

    inertia: float
    centres: "NDArray[np.float64]"
    iterations: int
    start: int
    converged: bool


@dataclass
class Position:
    """Where a run stands: what a checkpoint keeps."""

    start: int = 0
    iteration: int = 0
    converged: bool = False
    centres: "NDArray[np.float64] | None" = None
    best: Best | None = None

    @classmethod
    def restore(cls, state: "dict[str, NDArray[Any]]", settings: Settings) -> "Position":
        """The position in a checkpoint's state; the beginning when there is none."""
        if not state:
            return cls()
        before = int(state["max_iterations"])
        if before != settings.max_iterations and settings.restarts > 1:
            raise SettingsError(
                f"--max-iterations: {before} -> {settings.max_iterations}: a run of {settings.restarts} starts cannot be "
                "extended (the starts that ended would have had fewer iterations); make a new run"
            )
        if before != settings.max_iterations and "best_centres" in state:  # a finished run goes on where it ended
            return cls(0, int(state["best_iterations"]), bool(state["best_converged"]), state["best_centres"])
        at = cls(int(state["start"]), int(state["iteration"]), bool(state["converged"]), state.get("centres"))
        if "best_centres" in state:
            at.best = Best(
                float(state["best_inertia"]), state["best_centres"], int(state["best_iterations"]),
                int(state["best_start"]), bool(state["best_converged"]),
            )  # fmt: skip
        return at

    def state(self, settings: Settings) -> "dict[str, NDArray[Any]]":
        """The arrays of a checkpoint."""
        import numpy as np

        numbers: dict[str, Any] = {
            "start": self.start,
            "iteration": self.iteration,
            "converged": int(self.converged),
            "max_iterations": settings.max_iterations,
        }
        if self.centres is not None:
            numbers["centres"] = self.centres
        if self.best is not None:
            numbers |= {f"best_{name}": value for name, value in vars(self.best).items()}
        return {name: np.asarray(np.asarray(value) + 0) for name, value in numbers.items()}

    def finish_start(self, inertia: float) -> None:
        """Keep this start if it is better than those before (the first of equals), and turn to the next."""
        assert self.centres is not None
        if self.best is None or inertia < self.best.inertia:
            self.best = Best(inertia, self.centres, self.iteration, self.start, self.converged)
        self.start, self.iteration, self.converged, self.centres = self.start + 1, 0, False, None


def load(settings: Settings, source: "Source", context: "Context") -> "tuple[Table, Any, Any, float | None]":
    """This rank's rows and weights, checked; smallest and largest value of each feature over all ranks."""
    import numpy as np

    from hpcjobs.clustering.table import Table
    from hpcjobs.data.slab import read_slab, refuse_rows
    from hpcjobs.kernels import kmeans as kernels

    comm = context.communicator
    slab = read_slab(source, comm)
    context.use_input(str(source), source.rows, slab.digest)
    low = np.full(source.shape[1], np.inf)
    high = -low
    finite = np.empty(len(slab.rows), dtype=np.uint8)
    kernels.extent(slab.rows, low, high, finite)
    bounds = np.concatenate([-low, high])
    comm.allreduce_max(bounds)
    infinite = np.flatnonzero(finite == 2) + slab.start
    refuse_rows(source, infinite, "infinite values", "mend or remove them", comm)
    if settings.missing == "refuse":
        missing = np.flatnonzero(finite == 0) + slab.start
        refuse_rows(source, missing, "missing values (NaN)", "leave them out with --missing omit", comm)
    weights, heaviest = load_weights(settings, source, context)
    points, kept = slab.rows, None
    if settings.missing == "omit":
        kept = np.flatnonzero(finite == 1)
        points = points[kept]
        weights = weights[kept] if len(weights) else weights
    low, high = -bounds[: source.shape[1]], bounds[source.shape[1] :]
    return Table(points, weights, slab.start, source.rows, comm, len(slab.rows), kept), low, high, heaviest


def load_weights(
    settings: Settings, source: "Source", context: "Context"
) -> "tuple[NDArray[np.float64], float | None]":
    """This rank's weights and the largest of all ranks; no weights and None where all rows weigh the same."""
    import numpy as np

    from hpcjobs.data.slab import read_slab, refuse_rows
    from hpcjobs.data.source import find_source

    if settings.weights is None:
        return np.zeros(0), None
    comm = context.communicator
    named = find_source(settings.weights, 1, comm)
    slab = read_slab(named, comm)
    context.use_input(str(named), named.rows, slab.digest)
    weights = slab.rows.astype(np.float64)
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0))) + slab.start
    refuse_rows(named, wrong, "a weight that is negative, NaN or infinite", "mend them", comm)
    heaviest = np.array([weights.max(initial=0.0)])
    comm.allreduce_max(heaviest)
    if heaviest[0] == 0:
        raise SettingsError(f"--weights {named}: every weight is 0; at least one must be positive")
    return weights, float(heaviest[0])


def first_centres(settings: Settings, start: int, table: "Table") -> "NDArray[np.float64]":
    """Starting centres (clusters, features) of one start."""
    import numpy as np

    from hpcjobs.clustering import start as starts
    from hpcjobs.data.source import Reader, find_source
    from hpcjobs.parallel.randomness import Stream

    stream = Stream(settings.seed, "k-means start", start)
    if settings.init == "k-means++":
        return starts.kmeans_plus_plus(table, settings.clusters, stream)
    if settings.init == "random":
        return starts.random_rows(table, settings.clusters, stream)
    named = find_source(settings.init, 2, table.communicator)

    def read() -> "NDArray[np.float64]":
        with Reader(named) as reader:
            centres = next(iter(reader.blocks(0, named.rows, named.rows))).astype(np.float64)
        if not np.isfinite(centres).all():
            raise SettingsError(f"--init {named}: centre {np.argwhere(~np.isfinite(centres))[0][0]} is not finite")
        return centres

    return on_root(table.communicator, read)


def result(best: Best, table: "Table", labels: "NDArray[np.int32]", source: "Source") -> "dict[str, Variable]":
    """The `/result` data sets."""
    import numpy as np

    from hpcjobs.data.schema import Variable, rows_of
    from hpcjobs.data.slab import identities

    comm = table.communicator
    counts = np.bincount(labels, minlength=len(best.centres)).astype(np.int64)
    comm.allreduce_sum(counts)
    if table.kept is not None:
        every = np.full(table.dealt, -1, dtype=np.int32)
        every[table.kept] = labels
        labels = every
    return {
        "/result/id": identities(source, comm),
        "/result/labels": Variable(("id",), rows_of(labels, table.rows, table.start), "cluster of each row, -1 if left out"),
        "/result/centres": Variable(("cluster", "feature"), best.centres, "centre of each cluster, in units of the data"),
        "/result/counts": Variable(("cluster",), counts, "rows of each cluster"),
        "/result/inertia": Variable((), np.array(best.inertia), "sum of weighted squared distances to the nearest centre"),
        "/result/iterations": Variable((), np.array(best.iterations), "iterations of the best start"),
        "/result/converged": Variable((), np.array(best.converged, dtype=np.uint8), "1 if the tolerance was met"),
        "/result/start": Variable((), np.array(best.start), "number of the best start, from 0"),
    }


def describe(result: "Mapping[str, Any]") -> dict[str, str]:
    """What `show` says of a result beyond what all jobs share."""
    counts = result["counts"]
    met = "met" if result["converged"] else "not met: more --max-iterations would move the centres further"
    return {
        "clusters": f"{len(counts)} of {result['centres'].shape[1]} features, "
        f"{int(counts.min())} to {int(counts.max())} rows each",
        "inertia": f"{float(result['inertia']):.10g}",
        "iterations": f"{int(result['iterations'])} (tolerance {met})",
    }
