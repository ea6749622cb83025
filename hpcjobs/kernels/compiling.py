"""Every kernel of a job called once, so that its twin is compiled, or loaded from the cache, before the work begins."""

import numpy as np

from hpcjobs.kernels import (
    augment,
    bounds,
    classic,
    convolution,
    kmeans,
    mlp,
    philox,
    pooling,
    quality,
    rows,
    tabular,
    update,
    waves,
    winograd,
)


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
        rows.rescale(points, one, one, False, np.zeros((2, 2), dtype=dtype))
        rows.digit_counts(points, np.zeros((1, 2), dtype=np.uint64), 0, np.zeros((1, 2, 256), dtype=np.int64))
    sums, masses = np.zeros((1, 2, 2), dtype=np.int64), np.zeros((1, 2), dtype=np.int64)
    kmeans.assign(points, np.zeros(0), np.eye(2), one, one, 1.0, 1.0, labels, sums, masses)
    bound = np.zeros(2, dtype=np.float32)
    apart = np.zeros((2, 2), dtype=np.float32)
    bounds.between(np.eye(2), 1.0, apart)
    bounds.reassign(
        points, np.zeros(0), np.eye(2), one, apart, 1.0, one, one, 1.0, 1.0,
        labels, bound, bound.copy(), sums, masses, True, True,
    )  # fmt: skip
    kmeans.squared_distances(points, np.eye(2), labels, one.copy())
    for some in (points, np.eye(2)):  # rows, and the candidates of k-means||
        kmeans.narrow(some, one, one.copy())
        kmeans.potentials(some, np.zeros(0), np.eye(2), one, 1.0, np.zeros(2, dtype=np.int64))
    rows.rescale(np.eye(2), one, one, False, np.eye(2))
    rows.digit_counts(np.eye(2), np.zeros((1, 2), dtype=np.uint64), 0, np.zeros((1, 2, 256), dtype=np.int64))
    quality.second_nearest(points, np.eye(2), np.ones(2, dtype=np.uint8), labels, one.copy())
    quality.distance_sums(np.eye(2), np.eye(2), labels, np.eye(2))


def compile_network(dtype: np.dtype[np.generic]) -> None:
    """The kernels of networks that compute in `dtype`."""
    image, flat, one = np.zeros((1, 2, 2, 1), dtype=dtype), np.zeros((4, 1), dtype=dtype), np.zeros(1, dtype=dtype)
    weights, small, which = np.zeros((3, 3, 1, 1), dtype=dtype), image[:, :1, :1].copy(), np.zeros((1,) * 4, np.uint8)
    convolution.forward(image, weights, one, 0.0, 1, 1, 1, False, image.copy(), which)
    convolution.backward(image, weights, 1, 1, 1, False, image, which, image.copy(), weights.copy())
    taps = np.zeros((winograd.SIDE**2, 1, 1), dtype=dtype)
    winograd.taps(weights, taps)
    winograd.forward(image, taps, one, 0.0, 1, 1, False, image.copy(), which)
    winograd.backward(image, taps, 1, 1, False, image, which, image.copy(), weights)
    convolution.bias_relu(flat, one, 0.0)
    convolution.relu_backward(flat, flat.copy())
    for out in (one, np.zeros(1)):
        convolution.column_sums(flat, out)
    convolution.moments(flat, np.zeros((2, 1)))
    pooling.max_pool(image, 2, 2, small, which)
    pooling.max_pool_backward(small, which, 2, 2, image)
    number = dtype.type
    rate, pair = number(0.1), (number(0.9), number(0.9))
    update.sgd(one, one.copy(), one.copy(), rate, rate, rate, False)
    update.adam(one, one.copy(), one.copy(), one.copy(), rate, pair, pair, rate, pair)


def compile_tabular() -> None:
    """The kernels of learning on tables."""
    key, zero, lane = np.zeros(2, dtype=np.uint32), np.uint64(0), np.zeros(1, dtype=np.int32)
    visits, counts = np.zeros((1, 1), dtype=np.int64), np.zeros((1, 1, 1), dtype=np.int64)
    q, values, ones = np.zeros((1, 1)), np.zeros(1), np.ones((1, 1, 1))
    limits, start_limits = np.zeros((1, 1, 0), dtype=np.uint64), np.full(1, 2**32, dtype=np.uint64)
    world = tabular.World(np.zeros((1, 1, 1), dtype=np.int32), ones, limits, lane.copy(), start_limits, 1)
    philox.blocks(np.zeros((1, 4, 1), dtype=np.uint32), key, zero, zero)
    tabular.rollout(lane, lane.copy(), key, zero, 1, zero, zero, lane.copy(), world, counts)
    tabular.greedy(q, np.zeros(1, dtype=np.uint32), lane.copy())
    tabular.blend(q, values, visits, counts, world, 0.5, 1, 0.0)
    tabular.sweep(values, counts, world, 0.5, 0.0, q)
    tabular.sweep(values, ones, world, 0.5, 0.0, q)
    tabular.evaluate(values, lane.copy(), ones, world, 1)
    tabular.online(q, lane, lane.copy(), key, zero, 1, zero, world, 0.5, 1, 0.0, counts, visits)


def compile_deep() -> None:
    """The kernels of deep Q-learning."""
    philox.blocks(np.zeros((1, 4, 1), dtype=np.uint32), np.zeros(2, dtype=np.uint32), np.uint64(0), np.uint64(0))
    for step in classic.STEPS.values():
        step(np.zeros((4, 1)), np.zeros(1, dtype=np.int32), np.zeros(1, dtype=np.uint8))
    classic.circles(np.zeros((4, 1)), np.zeros((4, 1)))
    parameters, row, units = np.zeros(8, dtype=np.float32), np.zeros((1, 1), dtype=np.float32), np.ones(3, np.int64)
    first, number = parameters[:1], np.float32(0.1)
    mlp.values(parameters, units, row, row.copy())
    mlp.slope(
        parameters, units, row, np.zeros(1, dtype=np.int32), first, np.zeros(1, dtype=np.int64), parameters.copy()
    )
    waves.waves(row, row, np.zeros((1, 2), dtype=np.float32))
    update.radam(first, first.copy(), first.copy(), first.copy(), number, (number, number), number, number, True)
