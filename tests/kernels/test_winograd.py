"""Winograd's convolution gives what the convolution gives, but for rounding; so do the twins and the definitions."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hpcjobs.kernels import convolution, winograd

Array = NDArray[Any]
# Of the largest number: rounding of the type, times what transforms and sums of this length may add to it.
ROUNDING = {"f4": 1e-5, "f8": 1e-14}
SHAPES = [
    ((2, 5, 6, 3), 2, 0, 0), ((2, 5, 4, 2), 3, 1, 1), ((7, 4, 4, 5), 1, 1, 1), ((1, 3, 3, 1), 1, 1, 1),
    ((2, 4, 5, 2), 2, 2, 2), ((3, 41, 44, 8), 8, 0, 1), ((2, 10, 9, 16), 40, 1, 1), ((1, 8, 300, 3), 5, 1, 1),
    ((0, 5, 5, 2), 2, 0, 0),
]  # fmt: skip


def assert_near(found: Array, wanted: Array, dtype: str) -> None:
    assert found.dtype == dtype
    scale = np.abs(wanted).max(initial=0)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=ROUNDING[dtype] * scale)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("pooled", [False, True], ids=["plain", "pooled"])
@pytest.mark.parametrize(("shape", "filters", "top", "left"), SHAPES)
def test_it_is_the_convolution(
    shape: tuple[int, ...], filters: int, top: int, left: int, pooled: bool, dtype: str
) -> None:
    draw = np.random.default_rng(0)
    x, weights, bias, taps = numbers(draw, shape, filters, dtype)
    gives = (shape[0], shape[1] + 2 * top - 2, shape[2] + 2 * left - 2, filters)
    gives = (gives[0], gives[1] // 2, gives[2] // 2, filters) if pooled else gives
    numbered = gives if pooled else (0,) * 4
    wanted, where = np.empty(gives), np.zeros(numbered, np.uint8)
    for floor in (0.0, -np.inf):
        wide = x.astype("f8"), weights.astype("f8"), bias.astype("f8")
        convolution.forward.reference(*wide, floor, 1, top, left, pooled, wanted, where)
        for kernel in (winograd.forward, winograd.forward.reference):
            y, which = np.full(gives, np.nan, dtype=dtype), np.full(numbered, 9, np.uint8)
            kernel(x, taps, bias, floor, top, left, pooled, y, which)
            assert_near(y, wanted, dtype)
            if dtype == "f8":  # in float32 two of a window may be too near to tell
                np.testing.assert_array_equal(which, where)

    dy, turned = draw.standard_normal(gives).astype(dtype), np.empty((36, filters, shape[3]), dtype=dtype)
    winograd.taps(np.ascontiguousarray(weights.swapaxes(2, 3)), turned)
    for rows in (shape[0], 0):
        slopes, dx = np.empty(weights.shape), np.empty((rows, *shape[1:]))
        wide = x.astype("f8"), weights.astype("f8")
        convolution.backward.reference(*wide, 1, top, left, pooled, dy.astype("f8"), where, dx, slopes)
        for backward in (winograd.backward, winograd.backward.reference):
            ours, back = np.full(weights.shape, np.nan, dtype), np.full(dx.shape, np.nan, dtype)
            backward(x, turned, top, left, pooled, dy, where, back, ours)
            assert_near(ours, slopes, dtype)
            assert_near(back, dx, dtype)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_taps_are_those_of_the_definition(dtype: str) -> None:
    _, weights, _, taps = numbers(np.random.default_rng(0), (1, 3, 3, 20), 70, dtype)
    wanted = np.empty(taps.shape)
    winograd.taps.reference(weights.astype("f8"), wanted)
    assert_near(taps, wanted, dtype)


def test_rounding_errors_are_a_few_times_those_of_plain_sums() -> None:
    """What the choice of points is for: those of most books, 0, +-1, +-2, have twice the errors."""
    draw = np.random.default_rng(0)
    x, weights, bias, taps = numbers(draw, (4, 42, 42, 64), 64, "f4")
    exact, plain, ours = np.empty((4, 40, 40, 64)), np.empty((4, 40, 40, 64), "f4"), np.empty((4, 40, 40, 64), "f4")
    which = np.empty((0,) * 4, np.uint8)
    wide = x.astype("f8"), weights.astype("f8"), bias.astype("f8")
    convolution.forward.reference(*wide, -np.inf, 1, 0, 0, False, exact, which)
    convolution.forward(x, weights, bias, -np.inf, 1, 0, 0, False, plain, which)
    winograd.forward(x, taps, bias, -np.inf, 0, 0, False, ours, which)
    errors = [float(np.sqrt(np.mean((found - exact) ** 2))) for found in (plain, ours)]
    assert errors[1] < 4 * errors[0]


def numbers(draw: np.random.Generator, shape: tuple[int, ...], filters: int, dtype: str) -> tuple[Array, ...]:
    """Images, weights, a bias, and the taps of the weights."""
    x, weights = draw.standard_normal(shape).astype(dtype), draw.standard_normal((3, 3, shape[3], filters))
    taps = np.full((36, shape[3], filters), np.nan, dtype=dtype)
    winograd.taps(weights.astype(dtype), taps)
    return x, weights.astype(dtype), draw.standard_normal(filters).astype(dtype), taps
