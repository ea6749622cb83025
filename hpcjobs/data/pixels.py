"""Pixels as arrays (height, width, channels): turned upright, their channels and their size changed when asked."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

LUMA = (19595, 38470, 7471)  # ITU-R 601-2 in units of 2**-16, as Pillow has it
# Where the first row and column of the image lie, by EXIF orientation: transposed, flipped in rows, in columns.
TURNS = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


def upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn pixels (height, width, channels) as their EXIF orientation says."""
    transposed, rows, columns = TURNS.get(orientation, (False, False, False))
    turned = pixels.swapaxes(0, 1) if transposed else pixels
    return turned[:: -1 if rows else 1, :: -1 if columns else 1]


def with_channels(pixels: NDArray[Any], channels: int) -> NDArray[Any]:
    """Pixels with 1, 3 or 4 channels: grey is repeated, colour weighed, alpha dropped or made opaque."""
    has = pixels.shape[2]
    if has == channels:
        return pixels
    colour = pixels[:, :, : 1 if has < 3 else 3]
    if channels == 1 and has == 2:
        return colour
    if channels == 1:
        red, green, blue = (colour[:, :, band].astype(np.float64) for band in range(3))
        grey = (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue) / 2**16
        return (np.floor(grey + 0.5) if pixels.dtype.kind == "u" else grey).astype(pixels.dtype)[:, :, np.newaxis]
    colour = np.broadcast_to(colour, (*pixels.shape[:2], 3))
    if channels == 3:
        return colour
    opaque = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    alpha = pixels[:, :, 1:] if has == 2 else np.full((*pixels.shape[:2], 1), opaque, dtype=pixels.dtype)
    return np.concatenate([colour, alpha], axis=2)


def fitted(pixels: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Pixels scaled so that they just cover height x width, and their middle cut out.

    Both sides are scaled by the larger of height / h and width / w and rounded to the nearest pixel, with
    Pillow's bilinear filter, which averages over all pixels that a smaller one covers.
    """
    h, w = pixels.shape[:2]
    if height * w >= width * h:
        tall, wide = height, max(width, (2 * w * height + h) // (2 * h))
    else:
        tall, wide = max(height, (2 * h * width + w) // (2 * w)), width
    if (tall, wide) != (h, w):
        pixels = np.stack([_resized(pixels[:, :, band], tall, wide) for band in range(pixels.shape[2])], axis=2)
    top, left = (tall - height) // 2, (wide - width) // 2
    return pixels[top : top + height, left : left + width]


def _resized(band: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """One band (height, width): bytes in Pillow's whole-number arithmetic, others as float32 and rounded."""
    from PIL import Image

    whole = band.dtype == np.uint8
    image = Image.fromarray(np.ascontiguousarray(band if whole else band.astype(np.float32)))
    found = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    if band.dtype == np.uint16:
        found = np.clip(np.rint(found), 0, 2**16 - 1)
    return found.astype(band.dtype)
