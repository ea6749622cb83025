"""Convolutions of 3 x 3 with fewer multiplications: Winograd's F(4 x 4, 3 x 3), 36 for every 16 places instead of 144.

Sources: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016; on points, Barabasz,
Anderson, Soodhalter and Gregg, Error Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural
Networks, ACM TOMS 46 (2020). The way back is the adjoint of the way forth, so it is the gradient of what was computed.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels.convolution import added_back, before_pool, finish, windows
from hpcjobs.kernels.dispatch import kernel

Array = NDArray[Any]
# Places of a tile in one direction, and what of an image they are made of.
PLACES, SIDE = 4, 6
# Polynomials are multiplied at 0, +-NEAR, +-FAR and infinity. Rounding errors are half of those at 0, +-1, +-2, and all
# numbers of A and B are exact in float32.
NEAR, FAR = 0.75, 1.5
_NEAR2, _FAR2 = NEAR * NEAR, FAR * FAR
# Of the images, the weights, and what comes out.
B = np.array(
    [
        [_NEAR2 * _FAR2, 0, -_NEAR2 - _FAR2, 0, 1, 0],
        [0, -NEAR * _FAR2, -_FAR2, NEAR, 1, 0],
        [0, NEAR * _FAR2, -_FAR2, -NEAR, 1, 0],
        [0, -FAR * _NEAR2, -_NEAR2, FAR, 1, 0],
        [0, FAR * _NEAR2, -_NEAR2, -FAR, 1, 0],
        [0, _NEAR2 * _FAR2, 0, -_NEAR2 - _FAR2, 0, 1],
    ]
)
_TIMES = (
    1 / (_NEAR2 * _FAR2),
    1 / (2 * _NEAR2 * (_NEAR2 - _FAR2)),
    1 / (2 * _FAR2 * (_FAR2 - _NEAR2)),
)
G = np.array(
    [
        [_TIMES[0], 0, 0],
        [_TIMES[1], _TIMES[1] * NEAR, _TIMES[1] * _NEAR2],
        [_TIMES[1], -_TIMES[1] * NEAR, _TIMES[1] * _NEAR2],
        [_TIMES[2], _TIMES[2] * FAR, _TIMES[2] * _FAR2],
        [_TIMES[2], -_TIMES[2] * FAR, _TIMES[2] * _FAR2],
        [0, 0, 1],
    ]
)
A = np.array([[point**power for point in (0, NEAR, -NEAR, FAR, -FAR)] + [power == 3] for power in range(4)])


@kernel
def taps(weights: Array, out: Array) -> None:
    """out (36, c, filters) is what tiles are multiplied with for weights (3, 3, c, filters)."""
    g = G.astype(weights.dtype)
    out[...] = np.einsum("ai,bj,ijcf->abcf", g, g, weights, optimize=True).reshape(out.shape)


@kernel
def forward(
    x: Array, taps: Array, bias: Array, floor: float, top: int, left: int, pooled: bool, y: Array,
    which: NDArray[np.uint8],
) -> None:  # fmt: skip
    """The same as `convolution.forward` of a stride of 1, for the `taps` of its weights."""
    a, shape = A.astype(x.dtype), tuple(length * (1 + pooled) for length in y.shape[1:3])
    products = np.einsum("nhwabc,abcf->nhwabf", _tiles(x, top, left, shape), _square(taps), optimize=True)
    tile = np.einsum("ia,jb,nhwabf->nhiwjf", a, a, products, optimize=True)
    found = tile.reshape(len(x), PLACES * tile.shape[1], PLACES * tile.shape[3], y.shape[3])
    finish(found[:, : shape[0], : shape[1]], bias, floor, pooled, y, which)


@kernel
def backward(
    x: Array, turned: Array, top: int, left: int, pooled: bool, dy: Array, which: NDArray[np.uint8], dx: Array,
    slopes: Array,
) -> None:  # fmt: skip
    """The same as `convolution.backward` of a stride of 1; `turned` are the `taps` of weights (3, 3, filters, c)."""
    a, b, g = A.astype(x.dtype), B.astype(x.dtype), G.astype(x.dtype)
    wide = before_pool(dy, which, pooled)
    tiles = _tiles(x, top, left, wide.shape[1:3])
    even = np.zeros((len(x), PLACES * tiles.shape[1], PLACES * tiles.shape[2], dy.shape[3]), dtype=dy.dtype)
    even[:, : wide.shape[1], : wide.shape[2]] = wide
    tile = even.reshape(len(x), tiles.shape[1], PLACES, tiles.shape[2], PLACES, dy.shape[3])
    products = np.einsum("ia,jb,nhiwjf->nhwabf", a, a, tile, optimize=True)
    slopes[...] = np.einsum("ai,bj,nhwabc,nhwabf->ijcf", g, g, tiles, products, optimize=True)
    if len(dx):
        back = np.einsum("ai,bj,nhwabf,abfc->nhwijc", b, b, products, _square(turned), optimize=True)
        dx[...] = added_back(back, SIDE, PLACES, top, left, dx.shape)


def _tiles(x: Array, top: int, left: int, shape: tuple[int, ...]) -> Array:
    """Tiles (n, h, w, 6, 6, c) of images as they are multiplied, for `shape` places of what a convolution gives."""
    b, places = B.astype(x.dtype), (len(x), *(-(-length // PLACES) for length in shape))
    found: Array = np.einsum("ai,bj,nhwijc->nhwabc", b, b, windows(x, SIDE, PLACES, top, left, places), optimize=True)
    return found


def _square(taps: Array) -> Array:
    return taps.reshape(SIDE, SIDE, *taps.shape[1:])
