"""Each layer's backward pass against finite differences in float64, on awkward shapes."""

import numpy as np
import pytest
from nn.differences import slopes

from hpcjobs.nn.declared import (
    AveragePool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Layer,
    Leaky,
    MaxPool,
    Relu,
    Residual,
    Sigmoid,
    Tanh,
)  # fmt: skip

SHORT = (Conv(filters=5, size=1, stride=2, padding="same", bias=False),)
CASES: dict[str, tuple[list[Layer], tuple[int, ...]]] = {
    "conv": ([Conv(filters=4)], (5, 7, 3)),
    "conv as large as the image": ([Conv(filters=2, size=5)], (5, 5, 1)),
    "conv of one pixel": ([Conv(filters=3, size=1)], (3, 2, 4)),
    "conv same": ([Conv(filters=3, padding="same")], (4, 5, 2)),
    "conv same, even window": ([Conv(filters=2, size=4, padding="same")], (5, 3, 2)),
    "conv with a step": ([Conv(filters=3, stride=2)], (6, 9, 2)),
    "conv same with a step": ([Conv(filters=3, stride=3, padding="same")], (7, 5, 2)),
    "conv of one pixel with a step": ([Conv(filters=3, size=1, stride=2)], (5, 4, 2)),
    "two convs without bias": ([Conv(filters=3, bias=False), Conv(filters=2, size=2, bias=False)], (5, 5, 2)),
    "conv and relu": ([Conv(filters=4), Relu(), Conv(filters=2), Relu()], (6, 6, 3)),
    "max pool": ([Conv(filters=3), MaxPool(size=2)], (7, 8, 2)),
    "max pool with overlap": ([Conv(filters=3), MaxPool(size=3, stride=2)], (8, 9, 1)),
    "max pool with gaps": ([Conv(filters=3, size=1), MaxPool(size=2, stride=3)], (8, 9, 1)),
    "average pool": ([Conv(filters=3), AveragePool(size=2)], (7, 5, 2)),
    "global pool": ([Conv(filters=3), GlobalPool()], (4, 5, 2)),
    "dense": ([Flatten(), Dense(units=5), Relu(), Dense(units=2, bias=False)], (2, 3, 1)),
    "leaky": ([Flatten(), Dense(units=5), Leaky(slope=0.2)], (2, 3, 1)),
    "sigmoid": ([Flatten(), Dense(units=5), Sigmoid()], (2, 3, 1)),
    "tanh": ([Flatten(), Dense(units=5), Tanh()], (2, 3, 1)),
    "relu alone": ([Relu(), Flatten(), Dense(units=2)], (2, 3, 1)),
    "dropout": ([Flatten(), Dense(units=9), Dropout(rate=0.4), Dense(units=2)], (2, 3, 1)),
    "batch norm": ([Conv(filters=3), BatchNorm(), Relu(), Conv(filters=2)], (6, 5, 2)),
    "batch norm of lines": ([Flatten(), Dense(units=4), BatchNorm()], (2, 3, 1)),
    "residual": ([Residual(layers=(Conv(filters=2, padding="same"), BatchNorm())), Relu(), Flatten()], (4, 3, 2)),
    "residual with a shortcut": (
        [Relu(), Residual(layers=(Relu(), Conv(filters=5, stride=2, padding="same")), shortcut=SHORT), Tanh()],
        (5, 4, 2),
    ),
}


@pytest.mark.parametrize("rows", [(3,), (2, 1, 2)], ids=["one shard", "three shards"])
@pytest.mark.parametrize("case", CASES)
def test_gradients_are_those_of_finite_differences(case: str, rows: tuple[int, ...]) -> None:
    layers, shape = CASES[case]
    ours, quotient, ours_x, quotient_x = slopes(layers, shape, rows)
    np.testing.assert_allclose(ours, quotient, rtol=2e-6, atol=1e-7)
    np.testing.assert_allclose(ours_x, quotient_x, rtol=2e-6, atol=1e-7)
