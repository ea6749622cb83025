"""Which of the axes of a row are height, width and channels of an image."""

import math
import re

from hpcjobs.errors import DataError, SettingsError

CHANNELS = (1, 3, 4)
ASKED = re.compile(r"([1-9]\d{0,8})x([1-9]\d{0,8})(?:x([1-9]\d{0,8}))?", re.ASCII)


def image_shape(
    where: str, held: tuple[int, ...], shape: str | None, flag: str = "--shape", *, shown: bool = True
) -> tuple[int, ...] | None:
    """Height, width and perhaps channels of rows of shape `held`; None for a table. `shape` is what `flag` says.

    Images to be `shown` have 1, 3 or 4 channels; others may have any number of them, if the flag says so.
    """
    if shape is not None:
        found = ASKED.fullmatch(shape)
        parts = tuple(int(part) for part in found.groups() if part) if found else ()
        if not parts or (shown and parts[2:] and parts[2] not in CHANNELS):
            raise SettingsError(f"{flag} {shape!r}: expected HxW or HxWxC, such as 28x28 or 32x32x3")
        if math.prod(parts) != math.prod(held):
            raise SettingsError(f"{flag} {shape}: {math.prod(parts)} values; a row of {where} has {math.prod(held)}")
        return parts
    if len(held) < 2:
        return None
    if len(held) > 3 or (len(held) == 3 and held[2] not in CHANNELS):
        raise DataError(
            f"{where}: a row has shape {held}; expected an image, height x width or height x width x 1, 3 or 4 "
            f"channels; name its {flag} HxWxC"
        )
    return held
