"""Rectified Adam (Liu et al., 2020) as PyTorch defines it: Adam that waits until its second moment can be trusted."""

from typing import Any

from numpy.typing import NDArray

from hpcjobs.kernels.update import radam
from hpcjobs.nn.optimiser import norm

Array = NDArray[Any]
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
ENOUGH = 5.0  # from this length of its average on, the second moment is used


def update(
    parameters: Array, gradient: Array, first: Array, second: Array, step: int, rate: float, clip: float
) -> None:
    """Step `step`, counted from 1; `clip` bounds the norm of the whole gradient. The other arrays change in place."""
    number = parameters.dtype.type
    shrink = min(1.0, clip / length) if (length := norm(gradient)) else 1.0
    longest = 2 / (1 - BETA2) - 1
    power = BETA2**step
    long = longest - 2 * step * power / (1 - power)
    moved = rate / (1 - BETA1**step)
    if trusted := long > ENOUGH:
        rectified = ((long - 4) * (long - 2) * longest / ((longest - 4) * (longest - 2) * long)) ** 0.5
        moved *= rectified * (1 - power) ** 0.5
    betas = number(BETA1), number(BETA2)
    radam(parameters, gradient, first, second, number(shrink), betas, number(moved), number(EPSILON), trusted)
