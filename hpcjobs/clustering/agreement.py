"""How well labels agree with known classes: adjusted Rand index and normalised mutual information, by integer counts.

Hubert and Arabie, "Comparing partitions", Journal of Classification 2 (1985); Vinh, Epps and Bailey, JMLR 11 (2010),
with the arithmetic mean of the entropies.
"""

import math

import numpy as np
from numpy.typing import NDArray

from hpcjobs.clustering.table import Labels
from hpcjobs.errors import DataError
from hpcjobs.parallel.communicator import Communicator

Integers = NDArray[np.int64]

MOST_CLASSES = 2**16


def contingency(labels: Labels, classes: Integers, clusters: int, communicator: Communicator) -> Integers:
    """How many rows over all ranks have each cluster and class: (clusters, classes). Collective.

    labels, classes (local rows,): rows of which either is negative do not count.
    """
    counted = (labels >= 0) & (classes >= 0)
    mine = np.unique(classes[counted])
    known = np.unique(np.concatenate(communicator.allgather_object(mine)))
    if len(known) > MOST_CLASSES:
        raise DataError(f"--truth: {len(known)} different values are no classes; at most {MOST_CLASSES}")
    counts = np.zeros((clusters, len(known)), dtype=np.int64)
    np.add.at(counts, (labels[counted], np.searchsorted(known, classes[counted])), 1)
    communicator.allreduce_sum(counts)
    return counts


def adjusted_rand(counts: Integers) -> float:
    """The adjusted Rand index of a contingency table: 1 for the same partition, about 0 for unrelated ones."""
    pairs = [sum(math.comb(int(count), 2) for count in cells) for cells in _margins(counts)]
    both, of_clusters, of_classes = pairs
    total = math.comb(int(counts.sum()), 2)
    # (both - expected) / ((of_clusters + of_classes) / 2 - expected), with expected = product / total, in integers
    numerator = 2 * (both * total - of_clusters * of_classes)
    denominator = (of_clusters + of_classes) * total - 2 * of_clusters * of_classes
    return numerator / denominator if denominator else 1.0


def normalised_mutual_information(counts: Integers) -> float:
    """Mutual information of clusters and classes by the mean of their entropies: 1 for the same partition."""
    total = int(counts.sum())
    both, clusters, classes = ([int(count) for count in cells if count] for cells in _margins(counts))
    if len(clusters) <= 1 and len(classes) <= 1:
        return 1.0
    joint, one, other = (_entropy(cells, total) for cells in (both, clusters, classes))
    return max(0.0, (one + other - joint) / ((one + other) / 2))


def _margins(counts: Integers) -> tuple[Integers, Integers, Integers]:
    return counts.ravel(), counts.sum(axis=1), counts.sum(axis=0)


def _entropy(cells: list[int], total: int) -> float:
    return -math.fsum(cell / total * math.log(cell / total) for cell in cells)
