"""Small networks: what they say by its formula, slopes by finite differences, and rows that know nothing of others."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hpcjobs.kernels import mlp
from hpcjobs.kernels.waves import waves

Array = NDArray[Any]
SHAPES = [(3, 2), (2, 4, 3), (4, 5, 6, 2), (9, 19, 33, 1)]


def drawn(units: tuple[int, ...], rows: int, dtype: str) -> tuple[Array, Array, Array]:
    """Parameters, units and numbers to look at."""
    draw = np.random.default_rng(2)
    size = sum((takes + 3) * gives for takes, gives in itertools.pairwise(units)) - 2 * units[-1]
    parameters, x = draw.normal(size=size), draw.normal(size=(rows, units[0]))
    return parameters.astype(dtype), np.array(units), x.astype(dtype)


def said(kernel: Any, parameters: Array, units: Array, x: Array) -> Array:
    out = np.full((len(x), units[-1]), np.nan, dtype=x.dtype)
    kernel(parameters, units, x, out)
    return out


def test_the_network_says_what_its_formula_says() -> None:
    parameters, units, x = drawn((2, 3, 1), 4, "f8")
    weights, bias, scale, offset, last, end = np.split(parameters, [6, 9, 12, 15, 18])
    for row, found in zip(x, said(mlp.values.reference, parameters, units, x)[:, 0], strict=True):
        hidden = [sum(row[i] * weights[3 * i + u] for i in range(2)) + bias[u] for u in range(3)]
        mean = sum(hidden) / 3
        deviation = math.sqrt(sum((value - mean) ** 2 for value in hidden) / 3 + mlp.EPSILON)
        normal = [(value - mean) / deviation for value in hidden]
        y = [max(value * a + b, 0.0) for value, a, b in zip(normal, scale, offset, strict=True)]
        assert found == pytest.approx(sum(a * b for a, b in zip(y, last, strict=True)) + end[0], rel=1e-12)


@pytest.mark.parametrize("units", SHAPES[:3])
def test_slopes_are_those_of_finite_differences(units: tuple[int, ...]) -> None:
    parameters, layout, x = drawn(units, 9, "f8")
    draw, small = np.random.default_rng(3), 1e-6
    action, target = draw.integers(0, units[-1], 9).astype(np.int32), draw.normal(size=9)
    rows = np.array([7, 0, 3, 8, 3])  # one of them twice
    gradient = np.full(len(parameters), np.nan)
    mlp.slope.reference(parameters, layout, x, action, target, rows, gradient)
    for place in range(len(parameters)):
        found = []
        for sign in (1, -1):
            parameters[place] += sign * small
            error = said(mlp.values.reference, parameters, layout, x)[np.arange(9), action] - target
            found.append((error[rows] ** 2).sum() / 2)
            parameters[place] -= sign * small
        assert gradient[place] == pytest.approx((found[0] - found[1]) / (2 * small), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("rows", [0, 1, 50])
@pytest.mark.parametrize("units", SHAPES)
def test_twins_are_the_definitions_but_for_rounding(units: tuple[int, ...], rows: int) -> None:
    parameters, layout, x = drawn(units, 64, "f4")
    draw = np.random.default_rng(4)
    np.testing.assert_allclose(
        said(mlp.values, parameters, layout, x[:rows]), said(mlp.values.reference, parameters, layout, x[:rows]),
        rtol=1e-5, atol=2e-5,
    )  # fmt: skip
    action, target = draw.integers(0, units[-1], 64).astype(np.int32), draw.normal(size=64).astype(np.float32)
    picked, found, exact = draw.permutation(64)[:rows], np.full_like(parameters, np.nan), np.empty(len(parameters))
    mlp.slope(parameters, layout, x, action, target, picked, found)
    mlp.slope.reference(parameters.astype(float), layout, x.astype(float), action, target, picked, exact)
    np.testing.assert_allclose(found, exact, rtol=1e-4, atol=1e-5 * np.abs(exact).max())


@pytest.mark.parametrize("units", SHAPES)
def test_the_bits_of_a_row_do_not_depend_on_the_rows_beside_it(units: tuple[int, ...]) -> None:
    parameters, layout, x = drawn(units, 40, "f4")
    turns = np.random.default_rng(5).integers(0, 5, size=(units[0], 7)).astype(np.float32)
    for kernel in (mlp.values, mlp.values.reference):
        whole = said(kernel, parameters, layout, x)
        for begin in range(0, 40, 3):
            for end in range(begin + 1, 41):
                np.testing.assert_array_equal(said(kernel, parameters, layout, x[begin:end]), whole[begin:end])
    out = np.empty((40, units[0] + 7), dtype=np.float32)
    waves(x, turns, out)
    for begin in range(40):
        one = np.empty((1, units[0] + 7), dtype=np.float32)
        waves(x[begin : begin + 1], turns, one)
        np.testing.assert_array_equal(one[0], out[begin])
    waves.reference(x, turns, theirs := np.empty_like(out))
    np.testing.assert_allclose(out, theirs, atol=1e-5)


def test_a_network_that_has_run_away_says_so() -> None:
    parameters, layout, x = drawn((2, 3, 1), 2, "f4")
    parameters[0] = np.nan
    assert np.isnan(said(mlp.values, parameters, layout, x)).all()
