"""The small network: slopes by finite differences, rectified Adam by its formula, rows that know nothing of others."""

import math

import numpy as np
import pytest

from hpcjobs.nn import mlp, radam
from hpcjobs.nn.layernorm import EPSILON, normalise, normalise_backward


def test_a_row_is_normalised_by_its_own_mean_and_deviation() -> None:
    draw = np.random.default_rng(0)
    x, scale, offset = draw.normal(2, 3, (5, 7)), draw.normal(size=7), draw.normal(size=7)
    expected = [[(value - row.mean()) / math.sqrt(row.var() + EPSILON) for value in row] for row in x]
    np.testing.assert_allclose(normalise(x, scale, offset)[0], np.array(expected) * scale + offset, rtol=1e-12)


def test_slopes_of_the_normalisation_are_those_of_finite_differences() -> None:
    draw = np.random.default_rng(1)
    parts = [draw.normal(size=(3, 5)), draw.normal(size=5), draw.normal(size=5)]
    dy, small = draw.normal(size=(3, 5)), 1e-6
    _, normal, inverse = normalise(*parts)
    for part, slope in zip(parts, normalise_backward(dy, parts[1], normal, inverse), strict=True):
        for place in np.ndindex(part.shape):
            found = []
            for sign in (1, -1):
                part[place] += sign * small
                found.append((normalise(*parts)[0] * dy).sum())
                part[place] -= sign * small
            assert slope[place] == pytest.approx((found[0] - found[1]) / (2 * small), abs=1e-7)


@pytest.mark.parametrize("units", [(3, 2), (2, 4, 3), (4, 5, 6, 2)])
def test_slopes_of_the_network_are_those_of_finite_differences(units: tuple[int, ...]) -> None:
    net, draw = mlp.lay_out(units), np.random.default_rng(2)
    parameters = mlp.first_parameters(net, 3, np.float64) + 0.1 * draw.normal(size=net.size)
    x, dy, small = draw.normal(size=(6, units[0])), draw.normal(size=(6, units[-1])), 1e-6
    traces: list[mlp.Trace] = []
    mlp.forward(net, parameters, x, traces)
    gradient = np.full(net.size, np.nan)
    mlp.backward(net, parameters, x, traces, dy, gradient)
    for place in range(net.size):
        found = []
        for sign in (1, -1):
            parameters[place] += sign * small
            found.append((mlp.forward(net, parameters, x) * dy).sum())
            parameters[place] -= sign * small
        assert gradient[place] == pytest.approx((found[0] - found[1]) / (2 * small), abs=1e-6)


def test_first_weights_have_the_variance_of_one_by_their_inputs() -> None:
    net = mlp.lay_out((50, 80, 3))
    found = mlp.first_parameters(net, 0)
    weights = found[net.layers[0][0].start : net.layers[0][0].stop]
    assert weights.var() == pytest.approx(1 / 50, rel=0.1)
    assert found.dtype == np.float32
    assert (mlp.first_parameters(net, 1) != found).any()


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
