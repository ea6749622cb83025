"""How well labels agree with known classes: adjusted Rand index and normalised mutual information, by integer counts.

Hubert and Arabie, "Comparing partitions", Journal of Classification 2 (1985); Vinh, Epps and Bailey, JMLR 11 (2010),
with the arithmetic mean of the entropies.
"""

import math
from dataclasses import dataclass
from decimal import Context, Decimal

import numpy as np
from numpy.typing import NDArray

from hpcjobs.clustering.table import Labels
from hpcjobs.errors import DataError
from hpcjobs.parallel.communicator import Communicator

Integers = NDArray[np.int64]

MOST_CLASSES = 2**16
# Logarithms of the C library may differ in their last bit from one CPU to the next; decimal ones do not.
EXACT = Context(prec=40)


@dataclass(frozen=True)
class Classes:
    """The class of each row that is used (local rows,), by its place among all `count` of them; -1 where unknown."""

    numbers: Labels
    count: int


def number_classes(values: Integers, communicator: Communicator) -> Classes:
    """Known classes (local rows,), numbered over all ranks; a negative one is unknown. Collective."""
    own = np.unique(values[values >= 0])
    known = np.unique(np.concatenate(communicator.allgather_object(own[: MOST_CLASSES + 1])))
    if len(known) > MOST_CLASSES:
        raise DataError(f"--truth: more than {MOST_CLASSES} different values are no classes; name the right data set")
    if len(known) == 0:
        raise DataError("--truth: no row has a known class (0 or more); number the classes from 0")
    return Classes(np.where(values >= 0, np.searchsorted(known, values), -1).astype(np.int32), len(known))


def contingency(labels: Labels, classes: Classes, clusters: int, communicator: Communicator) -> Integers:
    """How many rows over all ranks have each cluster and known class: (clusters, classes). Collective."""
    counts = np.zeros((clusters, classes.count), dtype=np.int64)
    known = classes.numbers >= 0
    np.add.at(counts, (labels[known], classes.numbers[known]), 1)
    communicator.allreduce_sum(counts)
    return counts


def adjusted_rand(counts: Integers) -> float:
    """The adjusted Rand index of a contingency table: 1 for the same partition, about 0 for unrelated ones."""
    pairs = [sum(math.comb(count, 2) * times for count, times in cells.items()) for cells in _margins(counts)]
    both, of_clusters, of_classes = pairs
    total = math.comb(int(counts.sum()), 2)
    # (both - expected) / ((of_clusters + of_classes) / 2 - expected), with expected = product / total, in integers
    numerator = 2 * (both * total - of_clusters * of_classes)
    denominator = (of_clusters + of_classes) * total - 2 * of_clusters * of_classes
    return numerator / denominator if denominator else 1.0


def normalised_mutual_information(counts: Integers) -> float:
    """Mutual information of clusters and classes by the mean of their entropies: 1 for the same partition."""
    total = int(counts.sum())
    margins = _margins(counts)
    if all(len(cells) == 1 and total in cells for cells in margins):  # one cluster and one class
        return 1.0
    joint, clusters, classes = (_entropy(cells, total) for cells in margins)
    mutual = EXACT.subtract(EXACT.add(clusters, classes), joint)
    return max(0.0, float(EXACT.divide(mutual + mutual, EXACT.add(clusters, classes))))


def _margins(counts: Integers) -> list[dict[int, int]]:
    """How often each count above 0 occurs among the cells, the clusters and the classes."""
    margins = (np.unique(cells[cells > 0], return_counts=True) for cells in (counts, counts.sum(axis=1), counts.sum(0)))
    return [dict(zip(values.tolist(), times.tolist(), strict=True)) for values, times in margins]


def _entropy(cells: dict[int, int], total: int) -> Decimal:
    """ln(total) - sum of count * ln(count) / total."""
    terms = Decimal(0)
    for count, times in cells.items():
        terms = EXACT.fma(Decimal(count * times), EXACT.ln(Decimal(count)), terms)
    return EXACT.subtract(EXACT.ln(Decimal(total)), EXACT.divide(terms, Decimal(total)))
