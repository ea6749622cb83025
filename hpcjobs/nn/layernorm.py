"""Layer normalisation: each row by its own mean and deviation (Ba, Kiros, Hinton, 2016), so no row knows of others."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
EPSILON = 1e-5


def normalise(x: Array, scale: Array, offset: Array) -> tuple[Array, Array, Array]:
    """y = scale * (x - mean) / deviation + offset of x (rows, units), with what `normalise_backward` needs.

    That is (x - mean) / deviation (rows, units) and 1 / deviation (rows, 1).
    """
    centred = x - x.mean(axis=1, keepdims=True)
    variance = np.einsum("ru,ru->r", centred, centred)[:, None] / x.dtype.type(x.shape[1])
    inverse = 1 / np.sqrt(variance + x.dtype.type(EPSILON))
    centred *= inverse
    return centred * scale + offset, centred, inverse


def normalise_backward(dy: Array, scale: Array, normal: Array, inverse: Array) -> tuple[Array, Array, Array]:
    """Slopes of x (rows, units), scale (units,) and offset (units,) from those of y."""
    d_scale, d_offset = (dy * normal).sum(axis=0), dy.sum(axis=0)
    dx = dy * scale
    along = np.einsum("ru,ru->r", dx, normal)[:, None] / dx.dtype.type(dx.shape[1])
    dx -= dx.mean(axis=1, keepdims=True)
    dx -= normal * along
    dx *= inverse
    return dx, d_scale, d_offset
