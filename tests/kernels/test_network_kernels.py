"""The Numba twins of the kernels of networks give the bits of their definitions."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hpcjobs.kernels import convolution, pooling, update
from hpcjobs.kernels.product import product

Array = NDArray[Any]
TYPES = ["f4", "f8"]


def both(kernel: Any, *arguments: Any) -> None:
    """Call twin and definition on copies; all arrays must end as the same bits."""
    ours, theirs = ([a.copy() if isinstance(a, np.ndarray) else a for a in arguments] for _ in range(2))
    kernel(*ours)
    kernel.reference(*theirs)
    for one, other in zip(ours, theirs, strict=True):
        if isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, other, strict=True)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shared", [False, True], ids=["whole windows", "lines of windows"])
@pytest.mark.parametrize(
    ("shape", "size", "stride", "top", "left"),
    [((2, 5, 6, 3), 3, 1, 0, 0), ((2, 5, 4, 2), 3, 1, 1, 1), ((1, 7, 5, 1), 3, 2, 0, 1), ((3, 4, 4, 2), 1, 3, 0, 0),
     ((1, 2, 2, 2), 5, 1, 2, 2), ((2, 3, 3, 1), 3, 1, 2, 2)],
)  # fmt: skip
def test_patches(shape: tuple[int, ...], size: int, stride: int, top: int, left: int, shared: bool, dtype: str) -> None:
    tall = 1 if shared else size
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    height, width = (
        (length + 2 * before - size) // stride + 1 for length, before in zip(shape[1:3], (top, left), strict=True)
    )
    height += size - tall  # every line of the windows, also those before and behind the image
    rows = shape[0] * height * width
    for start, count in ((0, rows), (rows // 2, rows - rows // 2)):
        out = np.full((count, tall * size * shape[3]), np.nan, dtype=dtype)
        both(convolution.gather, x, tall, size, stride, top, left, width, height, start, out)


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
def test_updates(dtype: str) -> None:
    draw = np.random.default_rng(3)
    number = np.dtype(dtype).type
    arrays = [draw.normal(size=101).astype(dtype) for _ in range(3)]
    for nesterov in (True, False):
        both(update.sgd, *arrays, number(0.1), number(0.9), number(0.01), nesterov)
    second = draw.random(101).astype(dtype)
    pair = (number(0.9), number(0.999))
    both(update.adam, *arrays, second, number(0.1), pair, pair, number(1e-8), (number(0.01), number(0.02)))


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
