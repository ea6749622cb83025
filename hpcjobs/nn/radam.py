"""Rectified Adam (Liu et al., 2020) as PyTorch defines it: Adam that waits until its second moment can be trusted."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.nn.optimiser import norm

Array = NDArray[Any]
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
ENOUGH = 5.0  # from this length of its average on, the second moment is used


def update(
    parameters: Array, gradient: Array, first: Array, second: Array, step: int, rate: float, clip: float
) -> None:
    """Step `step`, counted from 1; `clip` bounds the norm of the whole gradient. All arrays change in place."""
    number = parameters.dtype.type
    if (length := norm(gradient)) > clip:
        gradient *= number(clip / length)
    first *= number(BETA1)
    first += number(1 - BETA1) * gradient
    second *= number(BETA2)
    second += number(1 - BETA2) * gradient * gradient
    longest = 2 / (1 - BETA2) - 1
    power = BETA2**step
    long = longest - 2 * step * power / (1 - power)
    unbiased = rate / (1 - BETA1**step)
    if long <= ENOUGH:
        parameters -= number(unbiased) * first
        return
    trusted = ((long - 4) * (long - 2) * longest / ((longest - 4) * (longest - 2) * long)) ** 0.5
    scaled = first / (np.sqrt(second) + number(EPSILON))
    parameters -= number(unbiased * trusted * (1 - power) ** 0.5) * scaled
