"""Convolutions of 3 x 3 with fewer multiplications: Winograd's F(2 x 2, 3 x 3), 16 for every 4 places instead of 36.

Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016. The way back is the adjoint of the
way forth, so it is the gradient of just what was computed.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels.convolution import added_back, before_pool, finish, windows
from hpcjobs.kernels.dispatch import kernel

Array = NDArray[Any]
# Of the images, the weights, and what comes out.
B = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]], dtype=np.float32)
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], dtype=np.float32)
A = np.array([[1, 1, 1, 0], [0, 1, -1, -1]], dtype=np.float32)


@kernel
def taps(weights: Array, out: Array) -> None:
    """out (16, c, filters) is what tiles are multiplied with for weights (3, 3, c, filters)."""
    out[...] = np.einsum("ai,bj,ijcf->abcf", G, G, weights).reshape(out.shape)


@kernel
def forward(
    x: Array, taps: Array, bias: Array, floor: float, top: int, left: int, pooled: bool, y: Array,
    which: NDArray[np.uint8],
) -> None:  # fmt: skip
    """The same as `convolution.forward` of a stride of 1, for the `taps` of its weights."""
    products = np.einsum("nhwabc,abcf->nhwabf", _tiles(x, top, left, y.shape, pooled), _square(taps))
    four = np.einsum("ia,jb,nhwabf->nhiwjf", A, A, products)
    found = four.reshape(len(x), 2 * four.shape[1], 2 * four.shape[3], y.shape[3])
    if not pooled:
        found = found[:, : y.shape[1], : y.shape[2]]
    finish(found, bias, floor, pooled, y, which)


@kernel
def backward(
    x: Array, taps: Array, top: int, left: int, pooled: bool, dy: Array, which: NDArray[np.uint8], dx: Array,
    slopes: Array,
) -> None:  # fmt: skip
    """The same as `convolution.backward` of a stride of 1; `slopes` are those of the weights (3, 3, c, filters)."""
    tiles = _tiles(x, top, left, dy.shape, pooled)
    wide = before_pool(dy, which, pooled)
    even = np.zeros((len(x), 2 * tiles.shape[1], 2 * tiles.shape[2], dy.shape[3]), dtype=dy.dtype)
    even[:, : wide.shape[1], : wide.shape[2]] = wide
    four = even.reshape(len(x), tiles.shape[1], 2, tiles.shape[2], 2, dy.shape[3])
    products = np.einsum("ia,jb,nhiwjf->nhwabf", A, A, four)
    slopes[...] = np.einsum("ai,bj,nhwabc,nhwabf->ijcf", G, G, tiles, products, optimize=True)
    if len(dx):
        back = np.einsum("ai,bj,nhwabf,abcf->nhwijc", B, B, products, _square(taps), optimize=True)
        dx[...] = added_back(back, 4, 2, top, left, dx.shape)


def _tiles(x: Array, top: int, left: int, gives: tuple[int, ...], pooled: bool) -> Array:
    """Tiles (n, h, w, 4, 4, c) of images as they are multiplied, each for 2 x 2 places of what is given."""
    places = gives if pooled else (gives[0], (gives[1] + 1) // 2, (gives[2] + 1) // 2)
    found: Array = np.einsum("ai,bj,nhwijc->nhwabc", B, B, windows(x, 4, 2, top, left, places))
    return found


def _square(taps: Array) -> Array:
    return taps.reshape(4, 4, *taps.shape[1:])
