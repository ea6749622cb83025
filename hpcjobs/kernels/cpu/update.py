"""Numba twins of the kernels of update."""

import numpy as np
from numba import njit


@njit(cache=True, error_model="numpy")
def sgd(parameters, gradient, velocity, rate, momentum, decay, nesterov):  # type: ignore[no-untyped-def]
    finite = True
    for p in range(len(parameters)):
        slope = gradient[p] + decay * parameters[p]
        velocity[p] = momentum * velocity[p] + slope
        value = parameters[p] - rate * (slope + momentum * velocity[p] if nesterov else velocity[p])
        parameters[p] = value
        finite &= value - value == 0
    return finite


@njit(cache=True, error_model="numpy")
def adam(parameters, gradient, first, second, rate, betas, corrections, epsilon, decays):  # type: ignore[no-untyped-def]
    one, finite = parameters.dtype.type(1), True
    step, rest1, rest2, kept = rate / corrections[0], one - betas[0], one - betas[1], one - decays[1]
    for p in range(len(parameters)):
        slope = gradient[p] + decays[0] * parameters[p]
        first[p] = betas[0] * first[p] + rest1 * slope
        second[p] = betas[1] * second[p] + rest2 * (slope * slope)
        value = parameters[p] * kept - step * (first[p] / (np.sqrt(second[p]) / corrections[1] + epsilon))
        parameters[p] = value
        finite &= value - value == 0
    return finite


@njit(cache=True, error_model="numpy")
def radam(parameters, gradient, first, second, shrink, betas, rate, epsilon, trusted):  # type: ignore[no-untyped-def]
    one = parameters.dtype.type(1)
    rest1, rest2 = one - betas[0], one - betas[1]
    for p in range(len(parameters)):
        slope = shrink * gradient[p]
        first[p] = betas[0] * first[p] + rest1 * slope
        second[p] = betas[1] * second[p] + rest2 * (slope * slope)
    for p in range(len(parameters)):
        moved = first[p] / (np.sqrt(second[p]) + epsilon) if trusted else first[p]
        parameters[p] -= rate * moved
