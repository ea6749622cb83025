"""Convolutions of either kind, with the pool behind them, against sums written out."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hpcjobs.nn import convolution
from hpcjobs.nn.blocks import Blocks
from hpcjobs.nn.convolution import Window, conv_backward, conv_forward, dense_backward, dense_forward
from hpcjobs.nn.room import Room
from hpcjobs.parallel.shards import Span

Floats = NDArray[np.float64]


def written_out(x: Floats, weights: Floats, pad: int) -> Floats:
    """The correlation of x, `pad` zeros around it."""
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, weights.shape[:2], axis=(1, 2))
    found: Floats = np.einsum("nhwcij,ijcf->nhwf", windows, weights)
    return found


def weights_for(draw: np.random.Generator, channels: int, filters: int) -> dict[str, Floats]:
    return {"weights": draw.normal(size=(3, 3, channels, filters)), "bias": draw.normal(size=filters)}


def slope(function: Callable[[Floats], float], at: Floats) -> Floats:
    """Central differences of a function that is piecewise linear in each number."""
    found = np.empty_like(at)
    for place in np.ndindex(at.shape):
        before = at[place]
        at[place] = before + 1e-6
        more = function(at)
        at[place] = before - 1e-6
        found[place] = (more - function(at)) / 2e-6
        at[place] = before
    return found


@pytest.mark.parametrize("filters", [4, convolution.CHANNELS])
@pytest.mark.parametrize("pad", [0, 1])
@pytest.mark.parametrize("shape", [(3, 9, 7, 2), (2, 5, 6, convolution.CHANNELS), (1, 3, 3, 1)])
def test_convolutions_are_the_correlation_and_its_gradients(shape: tuple[int, ...], pad: int, filters: int) -> None:
    draw = np.random.default_rng(1)
    x, own = draw.normal(size=shape), weights_for(draw, shape[3], filters)
    window, room = Window(3, 1, pad, pad), Room()
    expected = written_out(x, own["weights"], pad) + own["bias"]
    y = np.full(expected.shape, np.nan)
    conv_forward([x], own, window, [y], room)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
    dy, dx = draw.normal(size=y.shape), np.full(x.shape, np.nan)
    slopes = {name: np.full_like(value, np.nan) for name, value in own.items()}
    conv_backward([x], own, window, [dy], [slopes], [dx], room)
    np.testing.assert_allclose(slopes["bias"], dy.sum(axis=(0, 1, 2)), rtol=1e-12)
    by_weights = slope(lambda w: float((written_out(x, w, pad) * dy).sum()), own["weights"])
    np.testing.assert_allclose(slopes["weights"], by_weights, rtol=1e-5, atol=1e-6)
    by_x = slope(lambda at: float((written_out(at, own["weights"], pad) * dy).sum()), x)
    np.testing.assert_allclose(dx, by_x, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("filters", [4, convolution.CHANNELS])
@pytest.mark.parametrize("shape", [(3, 9, 7, 2), (2, 6, 8, convolution.CHANNELS), (2, 9, 10, convolution.CHANNELS)])
def test_a_pool_behind_is_that_of_the_whole_image(shape: tuple[int, ...], filters: int) -> None:
    draw = np.random.default_rng(2)
    x, own = draw.normal(size=shape), weights_for(draw, shape[3], filters)
    window, room = Window(3, 1, 0, 0), Room()
    whole = np.maximum(written_out(x, own["weights"], 0) + own["bias"], 0)
    count, height, width = len(x), whole.shape[1] // 2, whole.shape[2] // 2
    cut = whole[:, : height * 2, : width * 2].reshape(count, height, 2, width, 2, filters)
    which = np.full((count, height, width, filters), 255, dtype=np.uint8)
    y = np.full(which.shape, np.nan)
    conv_forward([x], own, window, [y], room, 0.0, [which])
    np.testing.assert_allclose(y, cut.max(axis=(2, 4)), rtol=1e-12, atol=1e-12)
    dy, dx = draw.normal(size=y.shape), np.full(x.shape, np.nan)
    dy[y <= 0] = 0  # as the ReLU leaves it
    spread = np.where((cut == cut.max(axis=(2, 4), keepdims=True)) & (cut > 0), dy[:, :, None, :, None], 0)
    wide = np.zeros_like(whole)
    wide[:, : height * 2, : width * 2] = spread.reshape(count, height * 2, width * 2, filters)
    slopes = [{name: np.full_like(value, np.nan) for name, value in own.items()} for _ in range(2)]
    conv_backward([x], own, window, [dy], slopes[:1], [dx], room, [which])
    other = np.empty_like(x)
    conv_backward([x], own, window, [wide], slopes[1:], [other], room)
    np.testing.assert_allclose(dx, other, rtol=1e-12, atol=1e-12)
    for name in own:
        np.testing.assert_allclose(slopes[0][name], slopes[1][name], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("features", [1, convolution.ROWS, convolution.ROWS + 3])
def test_dense_layers_are_products_in_any_shard(features: int) -> None:
    draw = np.random.default_rng(3)
    own: dict[str, Any] = {"weights": draw.normal(size=(features, 5)), "bias": draw.normal(size=5)}
    xs = [draw.normal(size=(rows, features)) for rows in (2, 1, 3)]
    ys, dys = ([draw.normal(size=(len(x), 5)) for x in xs] for _ in range(2))
    dense_forward(xs, own, ys)
    for pieces, first, together in ((3, 0, [(0, 3)]), (4, 1, [(0, 1), (1, 3)]), (8, 5, [(0, 1), (1, 3)])):
        sums = [{name: np.empty_like(own[name]) for name in own} for _ in together]
        dxs = [np.empty_like(x) for x in xs]
        dense_backward(xs, own, dys, sums, dxs, Blocks(pieces, Span(first, first + 3)), Room())
        for (start, stop), found in zip(together, sums, strict=True):
            x, dy = np.concatenate(xs[start:stop]), np.concatenate(dys[start:stop])
            np.testing.assert_allclose(found["weights"], x.T @ dy, rtol=1e-11, atol=1e-12)
            np.testing.assert_allclose(found["bias"], dy.sum(axis=0), rtol=1e-11, atol=1e-12)
        for x, y, dy, dx in zip(xs, ys, dys, dxs, strict=True):
            np.testing.assert_allclose(y, x @ own["weights"] + own["bias"], rtol=1e-11, atol=1e-12)
            np.testing.assert_allclose(dx, dy @ own["weights"].T, rtol=1e-11, atol=1e-12)
