"""Which of the axes of a row are height, width and channels of an image."""

import math
import re

from hpcjobs.errors import DataError, SettingsError

CHANNELS = (1, 3, 4)


def image_shape(where: str, held: tuple[int, ...], shape: str | None) -> tuple[int, ...] | None:
    """Height, width and perhaps channels of rows of shape `held`; None for a table. `shape` is what --shape says."""
    if shape is not None:
        parts = tuple(int(part) for part in re.split("x", shape)) if re.fullmatch(r"\d+x\d+(x[134])?", shape) else ()
        if not parts or 0 in parts:
            raise SettingsError(f"--shape {shape!r}: expected HxW or HxWxC, such as 28x28 or 32x32x3")
        if math.prod(parts) != math.prod(held):
            raise SettingsError(f"--shape {shape}: {math.prod(parts)} values; a row of {where} has {math.prod(held)}")
        return parts
    if len(held) < 2:
        return None
    if len(held) > 3 or (len(held) == 3 and held[2] not in CHANNELS):
        raise DataError(
            f"{where}: a row has shape {held}; expected an image, height x width or height x width x 1, 3 or 4 "
            "channels; name its --shape HxWxC"
        )
    return held
