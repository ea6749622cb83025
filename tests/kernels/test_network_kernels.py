"""The Numba twins of the kernels of networks give the bits of their definitions."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hpcjobs.kernels import convolution, pooling, update
from hpcjobs.kernels.product import product

Array = NDArray[Any]
TYPES = ["f4", "f8"]


def both(kernel: Any, *arguments: Any) -> Any:
    """Call twin and definition on copies; all arrays must end as the same bits, and both return the same."""
    ours, theirs = ([a.copy() if isinstance(a, np.ndarray) else a for a in arguments] for _ in range(2))
    found = kernel(*ours)
    assert found == kernel.reference(*theirs)
    for one, other in zip(ours, theirs, strict=True):
        if isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, other, strict=True)
    return found


def whole(draw: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Array:
    """Whole numbers: sums of products of them are exact in any order."""
    return draw.integers(-8, 9, size=shape).astype(dtype)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("pooled", [False, True], ids=["plain", "pooled"])
@pytest.mark.parametrize(
    ("shape", "size", "stride", "top", "left"),
    [((2, 5, 6, 3), 3, 1, 0, 0), ((2, 5, 4, 2), 3, 1, 1, 1), ((1, 9, 8, 1), 3, 2, 0, 1), ((3, 4, 4, 2), 1, 3, 0, 0),
     ((1, 2, 2, 2), 5, 1, 2, 2), ((2, 3, 3, 1), 3, 1, 2, 2), ((3, 33, 40, 3), 3, 1, 1, 1), ((0, 5, 5, 2), 3, 1, 0, 0)],
)  # fmt: skip
def test_convolutions(
    shape: tuple[int, ...], size: int, stride: int, top: int, left: int, pooled: bool, dtype: str
) -> None:
    draw = np.random.default_rng(0)
    x, weights, bias = (
        whole(draw, shape, dtype),
        whole(draw, (size, size, shape[3], 8), dtype),
        whole(draw, (8,), dtype),
    )
    places = [(length + 2 * begin - size) // stride + 1 for length, begin in zip(shape[1:3], (top, left), strict=True)]
    y, which, dy = given(draw, (shape[0], *places, 8), pooled, dtype)
    for floor in (0.0, -np.inf):
        both(convolution.forward, x, weights, bias, floor, stride, top, left, pooled, y, which)
    convolution.forward(x, weights, bias, 0.0, stride, top, left, pooled, y, which)
    for dx in (np.full_like(x, np.nan), x[:0]):
        both(convolution.backward, x, weights, stride, top, left, pooled, dy, which, dx, np.full_like(weights, np.nan))


def given(draw: np.random.Generator, shape: tuple[int, ...], pooled: bool, dtype: str) -> tuple[Array, Array, Array]:
    """What a convolution gives, where its pool found that, and a gradient; all for places (n, h, w, filters)."""
    size = (shape[0], shape[1] // 2, shape[2] // 2, shape[3]) if pooled else shape
    which = draw.integers(0, 4, size=size if pooled else (0,) * 4).astype(np.uint8)
    return np.full(size, np.nan, dtype=dtype), which, whole(draw, size, dtype)


@pytest.mark.parametrize("dtype", TYPES)
def test_bias_relu_and_sums(dtype: str) -> None:
    draw = np.random.default_rng(1)
    y, bias = draw.normal(size=(33, 5)).astype(dtype), draw.normal(size=5).astype(dtype)
    y[3, 2] = np.nan
    for floor in (0.0, -np.inf):
        both(convolution.bias_relu, y, bias, floor)
    both(convolution.relu_backward, y, draw.normal(size=y.shape).astype(dtype))
    both(convolution.column_sums, y, np.zeros(5, dtype=dtype))
    both(convolution.moments, y, np.zeros((2, 5)))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 2), (2, 3), (1, 1), (3, 1)])
def test_max_pool(size: int, stride: int, dtype: str) -> None:
    draw = np.random.default_rng(2)
    x = draw.integers(0, 4, size=(2, 8, 7, 3)).astype(dtype)  # many ties
    x[0, 2, 2, 1] = np.nan
    height, width = ((length - size) // stride + 1 for length in (8, 7))
    y, which = np.empty((2, height, width, 3), dtype=dtype), np.empty((2, height, width, 3), dtype=np.uint8)
    both(pooling.max_pool, x, size, stride, y, which)
    pooling.max_pool(x, size, stride, y, which)
    both(pooling.max_pool_backward, draw.normal(size=y.shape).astype(dtype), which, size, stride, np.empty_like(x))


@pytest.mark.parametrize("dtype", TYPES)
@np.errstate(invalid="ignore")
def test_updates(dtype: str) -> None:
    draw = np.random.default_rng(3)
    number = np.dtype(dtype).type
    arrays = [draw.normal(size=101).astype(dtype) for _ in range(3)]
    second = draw.random(101).astype(dtype)
    pair = (number(0.9), number(0.999))
    for odd in (0.0, np.inf, -np.inf, np.nan):
        arrays[1][37] += odd
        for nesterov in (True, False):
            assert both(update.sgd, *arrays, number(0.1), number(0.9), number(0.01), nesterov) == (odd == 0)
        last = (number(0.1), pair, pair, number(1e-8), (number(0.01), number(0.02)))
        assert both(update.adam, *arrays, second, *last) == (odd == 0)
        for trusted in (True, False):
            both(update.radam, *arrays, second, number(0.5), pair, number(0.1), number(1e-8), trusted)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 7, 2), (6, 1, 1), (5, 3, 1)])
def test_products(shape: tuple[int, int, int], dtype: str) -> None:
    m, k, n = shape
    draw = np.random.default_rng(4)
    a, b, c = (draw.integers(-4, 5, size=size).astype(dtype) for size in ((m, k), (k, n), (m, n)))  # exact in any order
    forms: list[tuple[Array, Array, dict[str, bool]]] = [
        (a, b, {}),
        (np.ascontiguousarray(a.T), b, {"flip_a": True}),
        (a, np.ascontiguousarray(b.T), {"flip_b": True}),
    ]
    for left, right, how in forms:
        for add in (False, True):
            out = c.copy()
            product(left, right, out, add=add, **how)
            np.testing.assert_array_equal(out, a @ b + (c if add else 0))
