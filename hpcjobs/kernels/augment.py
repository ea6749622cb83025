"""The loops that change images, defined.

**The map.** Pixel (i, j) of an output is read at the point (row, column) = (m0 i + m1 j + m2, m3 i + m4 j + m5) of its
image. The six numbers are integers in units of 2**-32 pixel, so that points are exact on every CPU. The weights of the
four pixels around a point are integers that add up to 2**13: their products with bytes, and the sums of these, are
whole numbers below 2**24, so that an image of bytes gives the same bits in any order. All other arithmetic is float32,
in the order written here.

**Sums over an image** are float64: rows are added up position by position, then the positions from left to right.
"""

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels.dispatch import kernel

Image = NDArray[np.generic]
Singles = NDArray[np.float32]
Integers = NDArray[np.int64]

UNIT = 32  # bits of a pixel in a map
WEIGHT = 13  # bits of a weight
FILLS = ("nearest", "constant", "reflect", "wrap")
NEAREST, CONSTANT, REFLECT, WRAP = range(4)
# How much of each channel is in grey (ITU-R BT.601); an image of one channel is grey already.
GREY = (0.299, 0.587, 0.114)
SMALL = 1e-6  # added to a standard deviation, as Keras does


@kernel
def warp(images: Image, maps: Integers, fill: int, value: float, scale: Singles, shift: Singles, out: Singles) -> None:
    """Read each image at the points of its map, bilinearly, and write value * scale + shift.

    images (n, height, width, channels) of uint8 or float32; maps (n, 6); scale, shift (channels,); out (n, rows,
    columns, channels). Beyond the edge `fill` counts, with the meaning of SciPy's modes nearest, constant, reflect and
    wrap (of which the last repeats every width - 1 pixels); `value` is that of constant.
    """
    height, width = images.shape[1:3]
    i, j = np.ogrid[: out.shape[1], : out.shape[2]]
    for image, m, result in zip(images, maps, out, strict=True):
        row, column = m[0] * i + m[1] * j + m[2], m[3] * i + m[4] * j + m[5]
        outside = _outside(row, height) | _outside(column, width)
        if fill == WRAP:
            row, column = _wrapped(row, height), _wrapped(column, width)
        down, right = _fraction(row), _fraction(column)
        corner = down * right >> WEIGHT
        weights = 2**WEIGHT - right - down + corner, right - corner, down - corner, corner
        rows = [_index((row >> UNIT) + step, height, fill) for step in (0, 1)]
        columns = [_index((column >> UNIT) + step, width, fill) for step in (0, 1)]
        pixels = [image[r, k] for r in rows for k in columns]  # each (rows, columns, channels)
        a, b, c, d = (w.astype(np.float32)[..., None] * v for w, v in zip(weights, pixels, strict=True))
        values = ((a + b) + (c + d)) * np.float32(2.0**-WEIGHT)
        if fill == CONSTANT:
            values[outside] = value
        result[...] = values * scale + shift


@kernel
def colour(images: Singles, factors: Singles, low: float, high: float, scale: Singles, shift: Singles) -> None:
    """Change brightness, contrast and saturation, keep within `low` and `high`, then write value * scale + shift.

    images (n, height, width, channels), in place, of 1, 3 or 4 channels, the fourth of which (opacity) is only scaled;
    factors (n, 3), where 1 changes nothing. Brightness multiplies; contrast is the distance from the mean grey of the
    image, saturation that from the grey of the pixel.
    """
    coloured = min(images.shape[3], 3)
    grey = np.array(GREY if coloured == 3 else (1.0,))
    for image, (brightness, contrast, saturation) in zip(images, factors.astype(np.float64), strict=True):
        totals = _lanes(image)
        mean = 0.0
        for channel in range(coloured):
            mean += grey[channel] * np.cumsum(totals[:, channel])[-1]
        mean = mean / (image.shape[0] * image.shape[1]) * brightness
        values = image[..., :coloured]
        values[...] = np.float32(contrast * brightness) * values + np.float32((1.0 - contrast) * mean)
        if coloured == 3:
            a, b, c = grey.astype(np.float32)
            level = ((a * values[..., 0] + b * values[..., 1]) + c * values[..., 2])[..., None]
            values[...] = level + np.float32(saturation) * (values - level)
        np.minimum(np.maximum(values, np.float32(low)), np.float32(high), out=values)
        image[...] = image * scale + shift


@kernel
def standardise(images: Singles) -> None:
    """Bring each image (height, width, channels) to mean 0 and standard deviation 1, in place: images (n, ...)."""
    for image in images:
        count = image.size
        mean = np.cumsum(_lanes(image))[-1] / count
        away = image.astype(np.float64) - mean
        deviation = np.sqrt(np.cumsum(_lanes(away * away))[-1] / count)
        image[...] = away * (1.0 / (deviation + SMALL))


def _outside(point: Integers, size: int) -> NDArray[np.bool_]:
    return (point < 0) | (point > (size - 1) << UNIT)


def _wrapped(point: Integers, size: int) -> Integers:
    """The point within the image that stands for one beyond its edge."""
    folded: Integers = point % max(1, (size - 1) << UNIT)
    return np.where(_outside(point, size), folded, point)


def _fraction(point: Integers) -> Integers:
    """How far a point lies behind its pixel, in [0, 2**13)."""
    bits: Integers = (point >> (UNIT - WEIGHT)) & (2**WEIGHT - 1)
    return bits


def _index(pixel: Integers, size: int, fill: int) -> Integers:
    """The pixel of the image that stands for one beyond its edge."""
    if fill == REFLECT:
        folded = pixel % (2 * size)
        return np.minimum(folded, 2 * size - 1 - folded)
    return np.clip(pixel, 0, size - 1)


def _lanes(image: NDArray[np.floating]) -> NDArray[np.float64]:
    """Sums over the rows of an image, (width, channels)."""
    total = np.zeros(image.shape[1:])
    for row in image:
        total += row
    return total
