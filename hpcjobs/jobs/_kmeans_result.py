"""What a k-means run leaves: labels and centres of the number of clusters that was chosen, and how good they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.clustering.agreement import Classes, adjusted_rand, contingency, normalised_mutual_information
from hpcjobs.clustering.assignment import Assignment
from hpcjobs.clustering.exact import runs
from hpcjobs.clustering.outliers import farthest
from hpcjobs.clustering.position import Best, Position
from hpcjobs.clustering.quality import Quality, measure
from hpcjobs.clustering.table import Labels, Survey, Table
from hpcjobs.data.schema import Variable, rows_of
from hpcjobs.data.slab import identities
from hpcjobs.data.source import Source
from hpcjobs.jobs._kmeans_settings import Settings, outlier_share
from hpcjobs.jobs._tables import Loaded

Floats = NDArray[np.float64]

MEASURES = {
    "simplified_silhouette": "mean simplified silhouette: by the distances to centres, at most 1, more is better",
    "silhouette": "mean silhouette over all pairs of rows, at most 1, more is better; NaN for many rows",
    "davies_bouldin": "Davies-Bouldin index, less is better",
    "calinski_harabasz": "Calinski-Harabasz index, more is better",
}


@dataclass(frozen=True)
class Tried:
    """One number of clusters that was tried to the end."""

    best: Best
    quality: Quality | None


def finish(
    settings: Settings,
    at: Position,
    loaded: Loaded,
    ground: Survey,
    rows: Assignment,
    classes: Classes | None,
    source: Source,
) -> dict[str, Variable]:
    """The `/result` data sets. Collective."""
    table, several = loaded.table, len(at.best) > 1
    tried = []
    for best in at.best.values():
        quality = None
        if several or settings.quality:
            totals = rows.update(table, ground.grid, best.centres)
            quality = measure(table, ground.grid, best.centres, rows.labels, totals)
        tried.append(Tried(best, quality))
    chosen = max(tried, key=_score)
    rows.update(table, ground.grid, chosen.best.centres)
    labels = rows.labels
    found = _clusters(settings, chosen.best, loaded, labels, source)
    if chosen.quality is not None:
        found |= {
            f"/result/{name}": Variable((), np.array(value), MEASURES[name])
            for name, value in vars(chosen.quality).items()
        }
    if several:
        found |= _scores(tried)
    if classes is not None:
        found |= _agreement(classes, len(chosen.best.centres), table, labels)
    share = outlier_share(settings)
    if share is not None:
        found |= _outliers(share, chosen.best.centres, loaded, labels)
    return found


def _score(tried: Tried) -> float:
    """What decides between numbers of clusters: the simplified silhouette; one cluster has none."""
    score = tried.quality.simplified_silhouette if tried.quality else 0.0
    return -2.0 if np.isnan(score) else score


def _clusters(settings: Settings, best: Best, loaded: Loaded, labels: Labels, source: Source) -> dict[str, Variable]:
    table, scaling = loaded.table, loaded.scaling
    members = np.zeros(len(best.centres), dtype=np.int64)
    for run in runs(len(labels)):
        members += np.bincount(labels[run], minlength=len(members))
    table.communicator.allreduce_sum(members)
    meaning = "centre of each cluster, " + ("of rows of length 1" if scaling.unit else "in units of the data")
    found = {
        "/result/id": identities(source, table.communicator),
        "/result/labels": per_row(labels, -1, table, "cluster of each row, -1 if left out"),
        "/result/centres": Variable(("cluster", "feature"), scaling.undo(best.centres), meaning),
        "/result/counts": Variable(("cluster",), members, "rows of each cluster"),
        "/result/inertia": Variable(
            (), np.array(best.inertia), "sum of weighted squared distances to the nearest centre"
        ),
        "/result/iterations": Variable((), np.array(best.iterations), "iterations of the best start"),
        "/result/converged": Variable((), np.array(best.converged, dtype=np.uint8), "1 if the tolerance was met"),
        "/result/start": Variable((), np.array(best.start), "number of the best start, from 0"),
    }
    if scaling.changes:
        dimensions = ("cluster", "feature")
        found["/result/scaled_centres"] = Variable(dimensions, best.centres, "centres as the scaled rows were compared")
        found["/result/offset"] = Variable(("feature",), scaling.offset, "what was taken off each feature first")
        found["/result/factor"] = Variable(("feature",), scaling.factor, "what each feature was then divided by")
        unit = np.array(scaling.unit, dtype=np.uint8)
        found["/result/unit"] = Variable((), unit, "1 if rows were then brought to length 1")
    return found


def per_row(values: NDArray[Any], missing: float, table: Table, meaning: str) -> Variable:
    """A value of each row of this rank as a data set by id; `missing` for rows that were left out."""
    if table.kept is not None:
        every = np.full(table.dealt, missing, dtype=values.dtype)
        every[table.kept] = values
        values = every
    return Variable(("id",), rows_of(values, table.rows, table.start), meaning)


def _scores(tried: list[Tried]) -> dict[str, Variable]:
    """The table of all numbers of clusters that were tried."""
    columns: dict[str, tuple[list[float], str]] = {
        "inertia": ([one.best.inertia for one in tried], "sum of weighted squared distances to the nearest centre")
    }
    for name, meaning in MEASURES.items():
        columns[name] = ([getattr(one.quality, name) for one in tried], meaning)
    numbers = np.array([len(one.best.centres) for one in tried], dtype=np.int64)
    found = {"/result/score_clusters": Variable(("score_clusters",), numbers, "numbers of clusters that were tried")}
    for name, (values, meaning) in columns.items():
        found[f"/result/score_{name}"] = Variable(("score_clusters",), np.array(values), meaning)
    return found


def _agreement(classes: Classes, clusters: int, table: Table, labels: Labels) -> dict[str, Variable]:
    counts = contingency(labels, classes, clusters, table.communicator)
    ari, nmi = adjusted_rand(counts), normalised_mutual_information(counts)
    return {
        "/result/adjusted_rand": Variable((), np.array(ari), "adjusted Rand index of clusters and known classes"),
        "/result/normalised_mutual_information": Variable(
            (), np.array(nmi), "mutual information of clusters and known classes by the mean of their entropies"
        ),
    }


def _outliers(share: float, centres: Floats, loaded: Loaded, labels: Labels) -> dict[str, Variable]:
    table = loaded.table
    distances = np.empty(len(labels))
    for run in runs(len(labels), table.block):
        distances[run] = np.sqrt(table.squared_distances(centres, labels, run))
    marks = farthest(table, distances, round(share * table.place()[1]))
    return {
        "/result/distance": per_row(distances, np.nan, table, "distance of each row to its centre, as it was compared"),
        "/result/outlier": per_row(marks, 0, table, "1 for the rows farthest from their centres"),
    }


def described(result: Mapping[str, Any]) -> dict[str, str]:
    """What `show` says of a result beyond what all jobs share."""
    counts = result["counts"]
    clusters, features = result["centres"]["shape"]
    met = "met" if result["converged"] else "not met: more --max-iterations would move the centres further"
    of = f", of {len(result['score_clusters'])} numbers of clusters tried" if "score_clusters" in result else ""
    told = {
        "clusters": f"{clusters} in {features} features, {min(counts)} to {max(counts)} rows each{of}",
        "inertia": f"{result['inertia']:.10g}",
        "iterations": f"{result['iterations']} (tolerance {met})",
    }
    names = (*MEASURES, "adjusted_rand", "normalised_mutual_information")
    measured = {name: result[name] for name in names if result.get(name) is not None}
    return told | {name.replace("_", " "): f"{value:.4g}" for name, value in measured.items() if not np.isnan(value)}
