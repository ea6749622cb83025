"""Every kernel of a job called once, so that its twin is compiled, or loaded from the cache, before the work begins."""

import numpy as np

from hpcjobs.kernels import kmeans, quality, rows


def compile_for(raw: np.dtype[np.generic], dtype: np.dtype[np.generic]) -> None:
    """The kernels of k-means, for rows that are read as `raw` and clustered as `dtype`."""
    one, labels = np.ones(2), np.zeros(2, dtype=np.int32)
    for each in dict.fromkeys((raw, dtype)):
        points = np.zeros((2, 2), dtype=each)
        kmeans.extent(points, one.copy(), one.copy(), np.zeros(2, dtype=np.uint8))
        kmeans.moments(points, one, one, 1.0, 1.0, np.zeros((4, 2), dtype=np.int64))
        rows.rescale(points, one, one, False, np.zeros((2, 2), dtype=dtype))
        rows.digit_counts(points, np.zeros((1, 2), dtype=np.uint64), 0, np.zeros((1, 2, 256), dtype=np.int64))
    sums, masses = np.zeros((1, 2, 2), dtype=np.int64), np.zeros((1, 2), dtype=np.int64)
    kmeans.assign(points, np.zeros(0), np.eye(2), one, one, 1.0, 1.0, labels, sums, masses)
    kmeans.squared_distances(points, np.eye(2), labels, one.copy())
    for some in (points, np.eye(2)):  # rows, and the candidates of k-means||
        kmeans.narrow(some, one, one.copy())
        kmeans.potentials(some, np.zeros(0), np.eye(2), one, 1.0, np.zeros(2, dtype=np.int64))
    rows.rescale(np.eye(2), one, one, False, np.eye(2))
    rows.digit_counts(np.eye(2), np.zeros((1, 2), dtype=np.uint64), 0, np.zeros((1, 2, 256), dtype=np.int64))
    quality.second_nearest(points, np.eye(2), np.ones(2, dtype=np.uint8), labels, one.copy())
    quality.distance_sums(np.eye(2), np.eye(2), labels, np.eye(2))
