"""What is done to one image in one pass: drawn from seed, pass and row alone.

Row r of pass n has the numbers 16 r to 16 r + 15 of the stream "augmentation", index n, uniform in [0, 1): for
rotation, height shift, width shift, shear, zoom of rows, zoom of columns, horizontal flip, vertical flip, top and left
of the crop, brightness, contrast, saturation, row and column of the cutout, mixup.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from hpcjobs.kernels.augment import UNIT
from hpcjobs.nn.augmentation import Augmentation, cropped, zooms
from hpcjobs.parallel.randomness import uniforms_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
COUNT = 16


@dataclass(frozen=True)
class Drawn:
    """What is done to n images: maps (n, 6), colour factors (n, 3), middle of the cutout (n, 2), mixup shares (n,)."""

    maps: Integers
    factors: NDArray[np.float32]
    holes: Integers
    shares: Floats


def draw(augmentation: Augmentation, shape: tuple[int, ...], seed: int, number: int, rows: Integers) -> Drawn:
    """What happens to some rows (n,) of pass `number`, images of `shape` (height, width, channels)."""
    u = uniforms_of(seed, "augmentation", number, rows, COUNT).T  # (16, n)
    (height, width), size = shape[:2], cropped(augmentation, shape)
    padding = augmentation.crop_padding
    spans = height + 2 * padding - size[0] + 1, width + 2 * padding - size[1] + 1
    low, high = zooms(augmentation)
    maps = maps_of(
        shape,
        rotation=augmentation.rotation * (2 * u[0] - 1),
        down=_pixels(augmentation.height_shift, height) * (2 * u[1] - 1),
        right=_pixels(augmentation.width_shift, width) * (2 * u[2] - 1),
        shear=augmentation.shear * (2 * u[3] - 1),
        zoom=(low + (high - low) * u[4], low + (high - low) * u[5]),
        flips=(augmentation.vertical_flip & (u[7] < 0.5), augmentation.horizontal_flip & (u[6] < 0.5)),
        corner=(np.floor(u[8] * spans[0]) - padding, np.floor(u[9] * spans[1]) - padding),
    )
    extent = np.array([augmentation.brightness, augmentation.contrast, augmentation.saturation])
    factors = (1 + extent[:, None] * (2 * u[10:13] - 1)).T.astype(np.float32, order="C")
    holes = np.floor(u[13:15] * np.array(size)[:, None]).T.astype(np.int64)
    shares = betaincinv(augmentation.mixup, augmentation.mixup, u[15]) if augmentation.mixup else np.ones(len(rows))
    return Drawn(maps, factors, holes, shares)


def centred(augmentation: Augmentation, shape: tuple[int, ...], count: int) -> Integers:
    """The maps (count, 6) that change nothing, but take a crop from the middle."""
    size = cropped(augmentation, shape)
    none, one = np.zeros(count), np.ones(count)
    still = np.zeros(count, dtype=bool)
    corner = tuple(np.full(count, float((shape[axis] - size[axis]) // 2)) for axis in (0, 1))
    return maps_of(shape, none, none, none, none, (one, one), (still, still), (corner[0], corner[1]))


def maps_of(
    shape: tuple[int, ...],
    rotation: Floats,
    down: Floats,
    right: Floats,
    shear: Floats,
    zoom: tuple[Floats, Floats],
    flips: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    corner: tuple[Floats, Floats],
) -> Integers:
    """Maps (n, 6) for the kernel `warp`: rotation x shift x shear x zoom about the middle, then flips, then the crop.

    Angles (n,) in degrees, shifts (n,) in pixels; zoom, flips and corner of the crop each of rows and columns.
    Keras' matrices, in its coordinates x (columns) and y (rows): R = [c -s; s c], S = [1 -sin b; 0 cos b], Z = [zx 0; 0
    zy]; (x, y) is read at R S Z (x, y) + R (right, down).
    """
    c, s = np.cos(np.deg2rad(rotation)), np.sin(np.deg2rad(rotation))
    slant, upright = np.sin(np.deg2rad(shear)), np.cos(np.deg2rad(shear))
    xx, xy = c * zoom[1], (-c * slant - s * upright) * zoom[0]
    yx, yy = s * zoom[1], (-s * slant + c * upright) * zoom[0]
    middle = shape[0] / 2 - 0.5, shape[1] / 2 - 0.5
    # A flipped output row i is row height - 1 - i of the warped image.
    sense = [np.where(flip, -1.0, 1.0) for flip in flips]
    first = [
        np.where(flip, shape[axis] - 1 - corner[axis], corner[axis]) - middle[axis] for axis, flip in enumerate(flips)
    ]
    row = yy * first[0] + yx * first[1] + s * right + c * down + middle[0]
    column = xy * first[0] + xx * first[1] + c * right - s * down + middle[1]
    maps = np.stack([yy * sense[0], yx * sense[1], row, xy * sense[0], xx * sense[1], column], axis=1)  # (n, 6)
    return np.rint(maps * 2.0**UNIT).astype(np.int64)


def _pixels(shift: float, size: int) -> float:
    return shift * size if shift < 1 else shift
