"""How parameters follow their gradient: SGD with momentum, Adam, AdamW; each as PyTorch defines it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels import update as kernels

Array = NDArray[Any]
MOMENTS = {"sgd": ("velocity",), "adam": ("first", "second"), "adamw": ("first", "second")}


@dataclass(frozen=True)
class Optimiser:
    """What does not change while a network is trained; `clip` bounds the norm of the whole gradient, 0 does not."""

    kind: str = "adam"
    momentum: float = 0.9
    nesterov: bool = False
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    decay: float = 0.0
    clip: float = 0.0


def first_moments(optimiser: Optimiser, parameters: Array) -> dict[str, Array]:
    """What the optimiser remembers from step to step, at first 0."""
    return {name: np.zeros_like(parameters) for name in MOMENTS[optimiser.kind]}


def norm(gradient: Array) -> float:
    """The length of the gradient, summed in one order."""
    return float(np.sqrt(np.square(gradient, dtype=np.float64).sum()))


def update(
    optimiser: Optimiser, parameters: Array, gradient: Array, moments: dict[str, Array], step: int, rate: float,
    parts: Sequence[tuple[slice, float]] = ((slice(None), 1.0),),
) -> bool:  # fmt: skip
    """Step `step`, counted from 1, at a learning rate. All arrays change in place.

    Only `parts` of the parameters change, each at its own multiple of the learning rate. Returns whether all that
    changed are finite.
    """
    if optimiser.clip > 0 and (length := norm(gradient)) > optimiser.clip:
        gradient *= gradient.dtype.type(optimiser.clip / length)
    finite = True
    for part, factor in parts:
        own = {name: moment[part] for name, moment in moments.items()}
        finite &= _move(optimiser, parameters[part], gradient[part], own, step, rate * factor)
    return finite


def _move(
    optimiser: Optimiser, parameters: Array, gradient: Array, moments: dict[str, Array], step: int, rate: float
) -> bool:
    number = parameters.dtype.type
    if optimiser.kind == "sgd":
        return kernels.sgd(
            parameters, gradient, moments["velocity"], number(rate), number(optimiser.momentum),
            number(optimiser.decay), optimiser.nesterov,
        )  # fmt: skip
    apart = optimiser.kind == "adamw"
    corrections = (1 - optimiser.beta1**step, np.sqrt(1 - optimiser.beta2**step))
    decays = (0.0 if apart else optimiser.decay, rate * optimiser.decay if apart else 0.0)
    return kernels.adam(
        parameters, gradient, moments["first"], moments["second"], number(rate),
        (number(optimiser.beta1), number(optimiser.beta2)), (number(corrections[0]), number(corrections[1])),
        number(optimiser.epsilon), (number(decays[0]), number(decays[1])),
    )  # fmt: skip
