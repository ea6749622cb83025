"""How good predictions are: confusion, precision, recall, F1, and the area under the ROC curve."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Scores:
    """Of each class (classes,): NaN where a class, or a prediction of it, does not occur."""

    precision: Floats
    recall: Floats
    f1: Floats
    support: Integers


def confusion(truth: NDArray[Any], labels: NDArray[Any], classes: int) -> Integers:
    """Rows of each true class (first axis) that were given each label."""
    pairs = truth.astype(np.int64) * classes + labels.astype(np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def scores(counts: Integers) -> Scores:
    """Precision, recall and F1 of each class."""
    hits, given, there = np.diag(counts).astype(np.float64), counts.sum(axis=0), counts.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision, recall = hits / given, hits / there
        f1 = np.where(there + given > 0, 2 * hits / (there + given), np.nan)
    return Scores(precision, recall, f1, there)


def roc_auc(truth: NDArray[np.bool_], score: Floats) -> float:
    """Probability that a positive scores above a negative, ties half (Mann and Whitney); NaN without both."""
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    doubled = (2 * ends - counts + 1)[inverse]  # twice the mean rank of each row: a whole number
    total = int(doubled[truth].sum())
    return (total - positives * (positives + 1)) / (2 * positives * negatives)


def roc_aucs(truth: NDArray[Any], probabilities: Floats) -> Floats:
    """The area of each class (classes,) against all others."""
    return np.array([roc_auc(truth == number, column) for number, column in enumerate(probabilities.T)])
