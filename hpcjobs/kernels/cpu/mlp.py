"""Numba twins of the kernels of small networks."""

import numpy as np
from numba import njit

from hpcjobs.kernels.mlp import EPSILON


@njit(cache=True, error_model="numpy")
def values(parameters, units, x, out):  # type: ignore[no-untyped-def]
    begin = 0
    for layer in range(len(units) - 2):
        weights, bias, scale, offset = _layer(parameters, begin, units[layer], units[layer + 1])
        y = np.empty((len(x), len(bias)), x.dtype)
        _dense(x, weights, bias, y)
        _normalise(y, scale, offset, y, np.empty(len(x), x.dtype))
        begin += weights.size + 3 * len(bias)
        x = y
    weights, bias = _last(parameters, begin, units[-2], units[-1])
    across = weights.T.copy()  # few outputs: sums along the inputs
    for r in range(len(x)):
        for u in range(len(bias)):
            out[r, u] = bias[u] + _dot(x[r], across[u])


@njit(cache=True, error_model="numpy")
def slope(parameters, units, features, action, target, rows, gradient):  # type: ignore[no-untyped-def]
    n, hidden, number = len(rows), len(units) - 2, parameters.dtype
    # What the layers take, and the normal of it, one layer behind the other; the first has none.
    taken, normals = np.empty(n * units[:-1].sum(), number), np.empty(n * units[:-1].sum(), number)
    inverses = np.empty((hidden, n), number)
    x = taken[: n * units[0]].reshape(n, units[0])
    for r in range(n):
        x[r] = features[rows[r]]
    begin, kept = 0, x.size
    for layer in range(hidden):
        weights, bias, scale, offset = _layer(parameters, begin, units[layer], units[layer + 1])
        size = n * len(bias)
        normal = normals[kept : kept + size].reshape(n, len(bias))
        y = taken[kept : kept + size].reshape(n, len(bias))
        np.dot(x, weights, normal)
        for r in range(n):
            _add(bias, normal[r])
        _normalise(normal, scale, offset, y, inverses[layer])
        begin, kept, x = begin + weights.size + 3 * len(bias), kept + size, y
    weights, bias = _last(parameters, begin, units[-2], units[-1])
    d_weights, d_bias = _last(gradient, begin, units[-2], units[-1])
    q = np.dot(x, weights)
    dy = np.zeros_like(q)
    d_bias[:] = 0
    for r in range(n):
        a = action[rows[r]]
        dy[r, a] = q[r, a] + bias[a] - target[rows[r]]
        d_bias[a] += dy[r, a]
    np.dot(x.T, dy, d_weights)
    for layer in range(hidden - 1, -1, -1):
        dy = np.dot(dy, weights.T)
        y, size = x, n * units[layer + 1]
        begin -= (units[layer] + 3) * units[layer + 1]
        kept -= size
        weights, bias, scale, offset = _layer(parameters, begin, units[layer], units[layer + 1])
        d_weights, d_bias, d_scale, d_offset = _layer(gradient, begin, units[layer], units[layer + 1])
        normal = normals[kept : kept + size].reshape(n, units[layer + 1])
        _normalise_backward(dy, y, normal, inverses[layer], scale, d_scale, d_offset)
        d_bias[:] = 0
        for r in range(n):
            _add(dy[r], d_bias)
        x = taken[kept - n * units[layer] : kept].reshape(n, units[layer])
        np.dot(x.T, dy, d_weights)


@njit(cache=True, error_model="numpy")
def _layer(buffer, begin, takes, gives):  # type: ignore[no-untyped-def]
    """Weights, bias, scale and offset of the hidden layer that begins there."""
    behind = begin + takes * gives
    return (
        buffer[begin:behind].reshape(takes, gives),
        buffer[behind : behind + gives],
        buffer[behind + gives : behind + 2 * gives],
        buffer[behind + 2 * gives : behind + 3 * gives],
    )


@njit(cache=True, error_model="numpy")
def _last(buffer, begin, takes, gives):  # type: ignore[no-untyped-def]
    """Weights and bias of the last layer."""
    behind = begin + takes * gives
    return buffer[begin:behind].reshape(takes, gives), buffer[behind : behind + gives]


@njit(cache=True, error_model="numpy")
def _dense(x, weights, bias, out):  # type: ignore[no-untyped-def]
    """Eight inputs at a time, their products added in order; units are lanes."""
    inputs, units = weights.shape
    whole = inputs // 8 * 8
    for r in range(len(x)):
        given, to = x[r], out[r]
        to[:] = bias
        for k in range(0, whole, 8):
            a, b, c, d, e, f, g, h = (
                given[k], given[k + 1], given[k + 2], given[k + 3],
                given[k + 4], given[k + 5], given[k + 6], given[k + 7],
            )  # fmt: skip
            w0, w1, w2, w3, w4, w5, w6, w7 = (
                weights[k], weights[k + 1], weights[k + 2], weights[k + 3],
                weights[k + 4], weights[k + 5], weights[k + 6], weights[k + 7],
            )  # fmt: skip
            for u in range(units):
                to[u] = (
                    to[u] + a * w0[u] + b * w1[u] + c * w2[u] + d * w3[u]
                    + e * w4[u] + f * w5[u] + g * w6[u] + h * w7[u]
                )  # fmt: skip
        for k in range(whole, inputs):
            a, weight = given[k], weights[k]
            for u in range(units):
                to[u] += a * weight[u]


@njit(cache=True, error_model="numpy")
def _normalise(x, scale, offset, y, inverses):  # type: ignore[no-untyped-def]
    """x (rows, units) becomes normal, y the ReLU of what is scaled; the two may be one array."""
    one, zero, units, epsilon = x.dtype.type(1), x.dtype.type(0), x.dtype.type(x.shape[1]), x.dtype.type(EPSILON)
    for r in range(len(x)):
        row, to = x[r], y[r]
        mean = _total(row) / units
        for u in range(len(row)):
            row[u] -= mean
        inverse = one / np.sqrt(_dot(row, row) / units + epsilon)
        inverses[r] = inverse
        for u in range(len(row)):
            row[u] *= inverse
        for u in range(len(row)):
            value = row[u] * scale[u] + offset[u]
            to[u] = zero if value < zero else value  # so that what is no number stays none


@njit(cache=True, error_model="numpy")
def _normalise_backward(dy, y, normal, inverses, scale, d_scale, d_offset):  # type: ignore[no-untyped-def]
    """dy (rows, units), the slopes of y, become those of what was normalised."""
    zero, units = dy.dtype.type(0), dy.dtype.type(dy.shape[1])
    d_scale[:] = 0
    d_offset[:] = 0
    for r in range(len(dy)):
        row, gave, straight, inverse = dy[r], y[r], normal[r], inverses[r]
        for u in range(len(row)):
            row[u] = row[u] if gave[u] > zero else zero
        _add(row, d_offset)
        for u in range(len(row)):
            d_scale[u] += row[u] * straight[u]
        for u in range(len(row)):
            row[u] *= scale[u]
        along, mean = _dot(row, straight) / units, _total(row) / units
        for u in range(len(row)):
            row[u] = (row[u] - mean - straight[u] * along) * inverse


@njit(cache=True, error_model="numpy")
def _add(row, out):  # type: ignore[no-untyped-def]
    for u in range(len(row)):
        out[u] += row[u]


@njit(cache=True, error_model="numpy", fastmath={"reassoc", "nsz"})
def _total(row):  # type: ignore[no-untyped-def]
    total = row.dtype.type(0)
    for u in range(len(row)):
        total += row[u]
    return total


@njit(cache=True, error_model="numpy", fastmath={"reassoc", "nsz"})
def _dot(one, other):  # type: ignore[no-untyped-def]
    total = one.dtype.type(0)
    for u in range(len(one)):
        total += one[u] * other[u]
    return total
