"""How a small network begins, and rectified Adam by its formula."""

import math

import numpy as np
import pytest

from hpcjobs.nn import mlp, radam
from hpcjobs.nn.network import view


def test_first_weights_have_the_variance_of_one_by_their_inputs() -> None:
    net = mlp.lay_out((50, 80, 3))
    found = mlp.first_parameters(net, 0)
    weights = found[net.layers[0][0].start : net.layers[0][0].stop]
    assert weights.var() == pytest.approx(1 / 50, rel=0.1)
    assert found.dtype == np.float32
    assert (mlp.first_parameters(net, 1) != found).any()


def test_blocks_are_where_the_kernels_look_for_them() -> None:
    net = mlp.lay_out((2, 5, 3))
    parameters, x = np.zeros(net.size, dtype=np.float32), np.ones((1, 2), dtype=np.float32)
    parts = {block.name: view(parameters, block) for layer in net.layers for block in layer}
    parts["dense_1_bias"][:] = [0, 0, 0, 0, 5]  # normal: four times -1/2, once 2
    parts["dense_1_scale"][:], parts["dense_1_offset"][:] = 2, 1
    parts["dense_2_weights"][4], parts["dense_2_weights"][3] = [1, 2, 3], 100  # of units that give 5 and 0
    parts["dense_2_bias"][:] = [0.5, 0.25, 0]
    np.testing.assert_allclose(mlp.values(net, parameters, x), [[5.5, 10.25, 15]], rtol=1e-4)


def test_rectified_adam_is_that_of_the_paper_one_number_at_a_time() -> None:
    slopes = np.random.default_rng(3).normal(size=40)
    parameter, first, second = np.array([0.5]), np.zeros(1), np.zeros(1)
    value, m, v, longest = 0.5, 0.0, 0.0, 2 / (1 - 0.999) - 1
    rectified = 0
    for step, slope in enumerate(slopes, 1):
        radam.update(parameter, np.array([slope]), first, second, step, 0.01, math.inf)
        m, v = 0.9 * m + 0.1 * slope, 0.999 * v + 0.001 * slope * slope
        long = longest - 2 * step * 0.999**step / (1 - 0.999**step)
        unbiased = m / (1 - 0.9**step)
        if long > 5:
            rectified += 1
            r = math.sqrt((long - 4) * (long - 2) * longest / ((longest - 4) * (longest - 2) * long))
            value -= 0.01 * unbiased * r * math.sqrt(1 - 0.999**step) / (math.sqrt(v) + 1e-8)
        else:
            value -= 0.01 * unbiased
        assert parameter[0] == pytest.approx(value, rel=1e-9)
    assert rectified == 35  # it waits for five steps


def test_a_gradient_that_is_too_long_is_shortened_as_a_whole() -> None:
    long, short = np.array([30.0, 40.0]), np.array([3.0, 4.0])
    found = [np.zeros(2), np.zeros(2)]
    for parameters, gradient in zip(found, (long, short), strict=True):
        radam.update(parameters, gradient, np.zeros(2), np.zeros(2), 1, 0.1, 5.0)
    np.testing.assert_allclose(found[0], found[1])
