"""Batch normalisation over the whole global batch: sums of each shard, added up in the one fixed tree."""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels import convolution as kernels
from hpcjobs.nn.declared import BatchNorm

Array = NDArray[Any]
Floats = NDArray[np.float64]
Total = Callable[[Sequence[Floats], Floats], None]  # writes the sum over all shards


def normalise(
    layer: BatchNorm, xs: Sequence[Array], ys: Sequence[Array], own: Mapping[str, Array], running: Mapping[str, Floats],
    count: int, total: Total,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Forward in training: ys from xs (n, ..., channels) of this rank's shards, `count` places in all shards.

    Returns mean and 1 / deviation; the running statistics go on towards mean and unbiased variance, as PyTorch's do.
    """
    channels = len(running["mean"])
    sums, parts = np.empty((2, channels)), [np.empty((2, channels)) for _ in xs]
    for x, part in zip(xs, parts, strict=True):
        kernels.moments(x.reshape(-1, channels), part)
    total(parts, sums)
    mean = sums[0] / count
    variance = np.maximum(sums[1] / count - mean * mean, 0)
    keep, unbiased = layer.momentum, variance * (count / max(1, count - 1))
    running["mean"][...] = keep * running["mean"] + (1 - keep) * mean
    running["variance"][...] = keep * running["variance"] + (1 - keep) * unbiased
    inverse = 1 / np.sqrt(variance + layer.epsilon)
    for x, y in zip(xs, ys, strict=True):
        apply(x, y, own, mean, inverse)
    return mean, inverse


def frozen(layer: BatchNorm, x: Array, y: Array, own: Mapping[str, Array], running: Mapping[str, Floats]) -> Floats:
    """Forward by the running statistics; returns 1 / deviation."""
    inverse: Floats = 1 / np.sqrt(running["variance"] + layer.epsilon)
    apply(x, y, own, running["mean"], inverse)
    return inverse


def apply(x: Array, y: Array, own: Mapping[str, Array], mean: Floats, inverse: Floats) -> None:
    """y = scale * (x - mean) * inverse + offset."""
    np.subtract(x, mean.astype(x.dtype), out=y)
    y *= (own["scale"] * inverse).astype(x.dtype)
    y += own["offset"]


def normalise_backward(
    xs: Sequence[Array], dys: Sequence[Array], own: Mapping[str, Array], slopes: Sequence[Mapping[str, Array]],
    kept: tuple[Floats, Floats], count: int, total: Total,
) -> None:  # fmt: skip
    """The dys become dxs in place; `slopes` of each shard get its share of the gradient of scale and offset."""
    mean, inverse = kept
    channels = len(mean)
    sums, parts = np.empty((2, channels)), []
    for x, dy, slope in zip(xs, dys, slopes, strict=True):
        part = np.zeros((2, channels))
        flat = dy.reshape(-1, channels)
        kernels.column_sums(flat, part[0])
        centred = ((x - mean.astype(x.dtype)) * inverse.astype(x.dtype)).reshape(-1, channels)
        kernels.column_sums(flat * centred, part[1])
        slope["offset"][...], slope["scale"][...] = part
        parts.append(part)
    total(parts, sums)
    factor = own["scale"] * inverse
    along, level = factor * inverse * sums[1] / count, factor * sums[0] / count
    for x, dy in zip(xs, dys, strict=True):
        dy *= factor.astype(dy.dtype)
        dy -= (x - mean.astype(x.dtype)) * along.astype(dy.dtype)
        dy -= level.astype(dy.dtype)


def places(shape: Sequence[int]) -> int:
    """Places of one sample that share their statistics."""
    return prod(shape[:-1])
