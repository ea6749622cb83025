"""Every kernel of a job called once, so that its twin is compiled, or loaded from the cache, before the work begins."""

import numpy as np

from hpcjobs.kernels import augment, kmeans, quality, rows


def compile_augment(raw: np.dtype[np.generic], channels: int) -> None:
    """The kernels that change images, for images that are read as `raw` and have so many channels."""
    taken = raw if raw == np.uint8 else np.dtype(np.float32)
    one, out = np.ones(channels, dtype=np.float32), np.zeros((1, 2, 2, channels), dtype=np.float32)
    augment.warp(out.astype(taken), np.zeros((1, 6), dtype=np.int64), augment.NEAREST, 0.0, one, one, out)
    augment.colour(out, np.ones((1, 3), dtype=np.float32), 0.0, 1.0, one, one)
    augment.standardise(out)


def compile_for(raw: np.dtype[np.generic], dtype: np.dtype[np.generic]) -> None:
    """The kernels of k-means, for rows that are read as `raw` and clustered as `dtype`."""
    one, labels = np.ones(2), np.zeros(2, dtype=np.int32)
    for each in dict.fromkeys((raw, dtype)):
        points = np.zeros((2, 2), dtype=each)
        kmeans.extent(points, one.copy(), one.copy(), np.zeros(2, dtype=np.uint8))
        kmeans.moments(points, one, one, 1.0, 1.0, np.zeros((4, 2), dtype=np.int64))
    if dtype != raw:
        rows.rescale(np.zeros((2, 2), dtype=raw), one, one, False, np.zeros((2, 2), dtype=dtype))
    sums, masses = np.zeros((1, 2, 2), dtype=np.int64), np.zeros((1, 2), dtype=np.int64)
    kmeans.assign(points, np.zeros(0), np.eye(2), one, one, 1.0, 1.0, labels, sums, masses)
    kmeans.squared_distances(points, np.eye(2), labels, one.copy())
    kmeans.narrow(points, one, one.copy())
    kmeans.potentials(points, np.zeros(0), np.eye(2), one, 1.0, np.zeros(2, dtype=np.int64))
    rows.rescale(points, one, one, False, np.zeros((2, 2), dtype=dtype))
    rows.rescale(np.eye(2), one, one, False, np.eye(2))
    rows.digit_counts(points, np.zeros((1, 2), dtype=np.uint64), 0, np.zeros((1, 2, 256), dtype=np.int64))
    quality.second_nearest(points, np.eye(2), np.ones(2, dtype=np.uint8), labels, one.copy())
    quality.distance_sums(np.eye(2), np.eye(2), labels, np.eye(2))
