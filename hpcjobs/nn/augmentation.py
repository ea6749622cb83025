"""What is done to images before they are trained on, as one declaration."""

import re
from typing import Annotated, Literal

import msgspec

from hpcjobs.errors import SettingsError
from hpcjobs.settings import setting

LONGEST = 2**15  # pixels of a side: points of a map fit 64 bits
ZOOMS = (1e-3, 1e3)


class Augmentation(msgspec.Struct, frozen=True, kw_only=True):
    """Changes of images, drawn anew for each image in each pass; with the meaning of Keras' ImageDataGenerator."""

    rotation: Annotated[float, setting("turn by up to so many degrees either way", ge=0, le=180)] = 0.0
    width_shift: Annotated[
        float,
        setting("shift columns by up to this share of the width, or, from 1 on, so many pixels", ge=0, le=LONGEST),
    ] = 0.0
    height_shift: Annotated[
        float, setting("shift rows by up to this share of the height, or, from 1 on, so many pixels", ge=0, le=LONGEST)
    ] = 0.0
    shear: Annotated[float, setting("shear by up to so many degrees either way", ge=0, lt=90)] = 0.0
    zoom: Annotated[float | str, setting("zoom each axis by 1 - ZOOM to 1 + ZOOM, or LOW:HIGH; below 1 enlarges")] = 0.0
    horizontal_flip: Annotated[bool, setting("mirror left and right, every second image")] = False
    vertical_flip: Annotated[bool, setting("turn upside down, every second image")] = False
    fill: Annotated[
        Literal["nearest", "constant", "reflect", "wrap"], setting("what lies beyond the edge of an image")
    ] = "nearest"
    fill_value: Annotated[float, setting("the value beyond the edge for --fill constant", ge=-1e30, le=1e30)] = 0.0
    crop: Annotated[
        str | None, setting("cut HxW pixels out of each image: anywhere to train on, else from the middle")
    ] = None
    crop_padding: Annotated[int, setting("a crop may reach so many pixels beyond the edge", ge=0, le=LONGEST)] = 0
    brightness: Annotated[float, setting("multiply by 1 - X to 1 + X", ge=0, le=1)] = 0.0
    contrast: Annotated[float, setting("distance from the mean grey, times 1 - X to 1 + X", ge=0, le=1)] = 0.0
    saturation: Annotated[float, setting("distance from the pixel's grey, times 1 - X to 1 + X", ge=0, le=1)] = 0.0
    cutout: Annotated[int, setting("set a square of this side to 0, anywhere", ge=0, le=LONGEST)] = 0
    mixup: Annotated[
        float, setting("mix pairs of images and labels, by shares drawn from Beta(X, X); 0: not", ge=0, le=100)
    ] = 0.0
    standardise: Annotated[
        Literal["none", "sample", "feature"],
        setting("then mean 0 and deviation 1: of each image by itself, or of each channel over the data"),
    ] = "none"

    @property
    def coloured(self) -> bool:
        return max(self.brightness, self.contrast, self.saturation) > 0


def zooms(augmentation: Augmentation) -> tuple[float, float]:
    """The least and the greatest zoom."""
    zoom = augmentation.zoom
    try:
        low, high = (float(part) for part in zoom.split(":")) if isinstance(zoom, str) else (1 - zoom, 1 + zoom)
    except ValueError:
        raise SettingsError(f"zoom is {zoom!r}: expected a number, or LOW:HIGH such as 0.8:1.2") from None
    if not ZOOMS[0] <= low <= high <= ZOOMS[1]:
        raise SettingsError(
            f"zoom is {zoom!r}: {low:g} to {high:g}, expected a range within {ZOOMS[0]:g} to {ZOOMS[1]:g}"
        )
    return low, high


def cropped(augmentation: Augmentation, shape: tuple[int, ...]) -> tuple[int, int]:
    """Height and width of what comes of images of `shape` (height, width, channels)."""
    height, width = shape[:2]
    if augmentation.crop is None:
        return height, width
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", augmentation.crop, re.ASCII)
    if found is None:
        raise SettingsError(f"crop is {augmentation.crop!r}: expected HxW, such as 28x28")
    size = int(found[1]), int(found[2])
    most = height + 2 * augmentation.crop_padding, width + 2 * augmentation.crop_padding
    if size[0] > most[0] or size[1] > most[1]:
        beyond = f" with {augmentation.crop_padding} around" if augmentation.crop_padding else ""
        raise SettingsError(
            f"crop is {augmentation.crop}, but images are {height}x{width}{beyond}; take less, or more crop-padding"
        )
    return size


def check(augmentation: Augmentation, shape: tuple[int, ...]) -> None:
    """Refuse what cannot be done to images of `shape` (height, width, channels)."""
    zooms(augmentation)
    height, width = cropped(augmentation, shape)
    if max(*shape[:2], height, width) > LONGEST:
        raise SettingsError(f"images of {shape[0]}x{shape[1]} cannot be augmented: a side has {LONGEST} pixels at most")
    if augmentation.crop_padding and augmentation.crop is None:
        raise SettingsError(
            f"crop-padding is {augmentation.crop_padding} and there is no crop; say crop {height}x{width}"
        )
    if augmentation.coloured and shape[2] not in (1, 3, 4):
        raise SettingsError(
            f"images of {shape[2]} channels have no brightness, contrast or saturation; expected 1, 3 or 4"
        )
    if augmentation.saturation and shape[2] == 1:
        raise SettingsError("saturation is of colours, and the images are grey (1 channel); leave it out")
    if augmentation.cutout > max(height, width):
        raise SettingsError(f"cutout is {augmentation.cutout}, more than an image of {height}x{width}; take less")
