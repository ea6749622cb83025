"""How good predictions are: confusion, precision, recall, F1, the area under the ROC curve, and calibration.

`counts` (rows,) say how often each row counts; without them each counts once.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
BINS = 15  # as Guo et al., "On calibration of modern neural networks" (2017), have them


@dataclass(frozen=True)
class Scores:
    """Of each class (classes,): NaN where a class, or a prediction of it, does not occur."""

    precision: Floats
    recall: Floats
    f1: Floats
    support: Integers


@dataclass(frozen=True)
class Ranking:
    """Rows by rising score: their numbers (rows,), which are positive (rows,), and where each run of ties begins."""

    order: Integers
    positive: NDArray[np.bool_]
    starts: Integers


@dataclass(frozen=True)
class Reliability:
    """Of each of BINS equal spans of confidence (bins,): rows, their mean confidence and the share that is right."""

    rows: Integers
    confidence: Floats
    accuracy: Floats

    def error(self) -> float:
        """Expected calibration error: how far confidence and accuracy are apart, in the mean over rows."""
        apart = np.abs(self.confidence - self.accuracy)[self.rows > 0]
        return float((apart * self.rows[self.rows > 0]).sum() / self.rows.sum())


def confusion(truth: NDArray[Any], labels: NDArray[Any], classes: int, counts: Integers | None = None) -> Integers:
    """Rows of each true class (first axis) that were given each label."""
    pairs = truth.astype(np.int64) * classes + labels.astype(np.int64)
    return np.bincount(pairs, weights=counts, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def scores(counts: Integers) -> Scores:
    """Precision, recall and F1 of each class."""
    hits, given, there = np.diag(counts).astype(np.float64), counts.sum(axis=0), counts.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision, recall = hits / given, hits / there
        f1 = np.where(there + given > 0, 2 * hits / (there + given), np.nan)
    return Scores(precision, recall, f1, there)


def ranking(truth: NDArray[np.bool_], score: Floats) -> Ranking:
    """Rows in the order of their scores."""
    order = np.argsort(score, kind="stable").astype(np.int64)
    starts = np.flatnonzero(np.diff(score[order], prepend=-np.inf) != 0).astype(np.int64)
    return Ranking(order, truth[order], starts)


def area(ranked: Ranking, counts: Integers | None = None) -> float:
    """Probability that a positive scores above a negative, ties half (Mann and Whitney); NaN without both."""
    weights = np.ones(len(ranked.order), dtype=np.int64) if counts is None else counts[ranked.order]
    if not len(weights):
        return float("nan")
    there = np.add.reduceat(weights, ranked.starts)
    positive = np.add.reduceat(weights * ranked.positive, ranked.starts)
    negative = there - positive
    pairs = 2 * int(positive.sum()) * int(negative.sum())
    doubled = int((positive * (2 * np.cumsum(negative) - negative)).sum())  # twice the pairs that are in order
    return doubled / pairs if pairs else float("nan")


def roc_auc(truth: NDArray[np.bool_], score: Floats) -> float:
    """The area under the ROC curve of two classes."""
    return area(ranking(truth, score))


def rankings(truth: NDArray[Any], probabilities: Floats) -> list[Ranking]:
    """Of each class, which rows are of it and how they are ranked by its probability."""
    return [ranking(truth == number, column) for number, column in enumerate(probabilities.T)]


def overall(
    truth: NDArray[Any], labels: NDArray[Any], ranked: list[Ranking], counts: Integers | None = None
) -> tuple[float, float, float]:
    """Accuracy, and the means over the classes for which there are any, of F1 and of the area."""
    found = confusion(truth, labels, len(ranked), counts)
    areas = np.array([area(one, counts) for one in ranked])
    return float(np.trace(found) / found.sum()), _mean(scores(found).f1), _mean(areas)


def worst(losses: Floats, wrong: NDArray[np.bool_], most: int) -> Integers:
    """The rows of the highest loss among those that are wrong, the first of equals first."""
    rows = np.flatnonzero(wrong).astype(np.int64)
    return rows[np.argsort(-losses[rows], kind="stable")[:most]]


def reliability(right: NDArray[np.bool_], confidence: Floats) -> Reliability:
    """How often the most probable class is right, by how probable it is said to be."""
    place = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    rows = np.bincount(place, minlength=BINS)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(place, weights=confidence, minlength=BINS) / rows
        share = np.bincount(place, weights=right, minlength=BINS) / rows
    return Reliability(rows.astype(np.int64), mean, share)


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
