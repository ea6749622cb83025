"""One step of an optimiser over all parameters at once."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels.dispatch import kernel

Array = NDArray[Any]


@kernel
def sgd(
    parameters: Array, gradient: Array, velocity: Array, rate: Any, momentum: Any, decay: Any, nesterov: bool
) -> bool:
    """Stochastic gradient descent with momentum as PyTorch defines it; all arrays (parameters,), changed in place.

    Numbers are scalars of the arrays' type. Returns whether all new parameters are finite.
    """
    slope = gradient + decay * parameters
    velocity[...] = momentum * velocity + slope
    parameters -= rate * (slope + momentum * velocity if nesterov else velocity)
    return bool(np.isfinite(parameters).all())


@kernel
def adam(
    parameters: Array,
    gradient: Array,
    first: Array,
    second: Array,
    rate: Any,
    betas: tuple[Any, Any],
    corrections: tuple[Any, Any],
    epsilon: Any,
    decays: tuple[Any, Any],
) -> bool:
    """Adam (Kingma and Ba, 2015) as PyTorch orders it; all arrays (parameters,), changed in place.

    `corrections` are 1 - beta1^t and the root of 1 - beta2^t; `decays` the weight decay that is added to the gradient
    (Adam) and the share taken off the parameters at once (AdamW). Numbers are scalars of the arrays' type. Returns
    whether all new parameters are finite.
    """
    one = parameters.dtype.type(1)
    slope = gradient + decays[0] * parameters
    first[...] = betas[0] * first + (one - betas[0]) * slope
    second[...] = betas[1] * second + (one - betas[1]) * (slope * slope)
    kept = parameters * (one - decays[1])
    parameters[...] = kept - (rate / corrections[0]) * (first / (np.sqrt(second) / corrections[1] + epsilon))
    return bool(np.isfinite(parameters).all())


@kernel
def radam(
    parameters: Array,
    gradient: Array,
    first: Array,
    second: Array,
    shrink: Any,
    betas: tuple[Any, Any],
    rate: Any,
    epsilon: Any,
    trusted: bool,
) -> None:
    """Rectified Adam; all arrays (parameters,), all but the gradient, which counts `shrink` times, change in place.

    `rate` has the corrections of both moments in it; `trusted` says whether the second is used. Numbers are scalars of
    the arrays' type.
    """
    one, slope = parameters.dtype.type(1), shrink * gradient
    first[...] = betas[0] * first + (one - betas[0]) * slope
    second[...] = betas[1] * second + (one - betas[1]) * (slope * slope)
    parameters -= rate * (first / (np.sqrt(second) + epsilon)) if trusted else rate * first
