"""JPEG, PNG and TIFF files as arrays, with the values and the channels that they hold."""

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.pixels import TURNS, upright
from hpcjobs.errors import DataError, SettingsError

# An image of more pixels is taken for a decompression bomb.
MOST_PIXELS = 2**27
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# How Pillow calls what we take: modes, and the channels they become.
MODES = {"1": 1, "L": 1, "LA": 2, "P": 3, "RGB": 3, "RGBA": 4, "I;16": 1, "I;16B": 1, "I": 1}
PNG_16_BIT = {2: 3, 4: 2, 6: 4}  # colour type: channels
ORIENTATION = 274


@dataclass(frozen=True)
class Looks:
    """What the header of an image says, upright."""

    height: int
    width: int
    channels: int
    dtype: str


def require_imaging() -> None:
    """Say how to install what reads images when it is not there."""
    try:
        import PIL
        import png
        import tifffile
    except ImportError as error:
        raise SettingsError(f"images need {error.name}: pip install 'hpcjobs[imaging]'") from None
    del PIL, png, tifffile


def look(file: BinaryIO, where: str) -> list[Looks]:
    """The pages of an image file, one for JPEG and PNG, from their headers."""
    with _explained(where):
        if _is_tiff(file):
            return _look_tiff(file, where)
        with _opened(file, where) as image:
            channels = _deep_colour(file) or MODES.get(image.mode, 0)
            if not channels:
                raise DataError(f"{where}: its colours are {image.mode}; save it as grey or RGB")
            deep = channels and (_deep_colour(file) or image.mode.startswith("I"))
            height, width = image.height, image.width
            if TURNS.get(_orientation(image), (False,))[0]:
                height, width = width, height
            return [Looks(height, width, channels, "uint16" if deep else "uint8")]


def decode(file: BinaryIO, page: int, where: str) -> NDArray[Any]:
    """One page as pixels (height, width, channels), upright."""
    with _explained(where):
        if _is_tiff(file):
            return _decode_tiff(file, page)
        with _opened(file, where) as image:
            orientation = _orientation(image)
            if _deep_colour(file):
                return upright(_decode_deep(file), orientation)
            if image.mode in ("1", "P"):
                image = image.convert("L" if image.mode == "1" else "RGB")
            pixels = np.asarray(image)
            if image.mode.startswith("I"):
                pixels = pixels.astype(np.uint16)
            return upright(pixels.reshape(*pixels.shape[:2], -1), orientation)


@contextlib.contextmanager
def _explained(where: str) -> Iterator[None]:
    """Decoders raise whatever the bytes lead them to; their warnings are of metadata that we do not use."""
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except DataError:
        raise
    except Exception as error:
        if type(error).__name__ == "DecompressionBombError":
            _refuse_bomb(where, MOST_PIXELS + 1)
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if "imagecodecs" in reason:
            raise DataError(f"{where}: this compression needs a codec: pip install imagecodecs") from None
        if "<_io." in reason:  # Pillow names the object that it read from
            reason = "no image of this kind"
        raise DataError(f"{where}: damaged, or no image ({reason}); leave it out with --bad-rows skip") from None


@contextlib.contextmanager
def _opened(file: BinaryIO, where: str) -> Iterator[Any]:
    from PIL import Image

    file.seek(0)
    with Image.open(file, formats=["JPEG", "PNG"]) as image:
        _refuse_bomb(where, image.width * image.height)
        yield image


def _refuse_bomb(where: str, pixels: int) -> None:
    if pixels > MOST_PIXELS:
        raise DataError(
            f"{where}: declares more than {MOST_PIXELS} pixels, as a decompression bomb would; cut it into pieces"
        )


def _orientation(image: Any) -> int:
    """How the image is turned; that of a PNG counts when it stands before the pixels."""
    return int(image.getexif().get(ORIENTATION, 1)) if "exif" in image.info else 1


def _deep_colour(file: BinaryIO) -> int:
    """Channels of a PNG with 16 bits a channel, which Pillow would cut to 8; 0 for all others."""
    file.seek(0)
    head = file.read(26)
    return PNG_16_BIT.get(head[25], 0) if head[:8] == PNG_SIGNATURE and len(head) == 26 and head[24] == 16 else 0


def _decode_deep(file: BinaryIO) -> NDArray[np.uint16]:
    """The pixels (height, width, channels) of a PNG with 16 bits a channel."""
    import png

    file.seek(0)
    width, height, rows, told = png.Reader(file=file).read()
    pixels = np.array([np.asarray(row, dtype=np.uint16) for row in rows])
    return pixels.reshape(height, width, told["planes"])


def _is_tiff(file: BinaryIO) -> bool:
    file.seek(0)
    return file.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def _look_tiff(file: BinaryIO, where: str) -> list[Looks]:
    import tifffile

    file.seek(0)
    found = []
    with tifffile.TiffFile(file) as tiff:
        told = (tiff.imagej_metadata or {}).get("images", 1)
        if told > len(tiff.pages):
            raise DataError(f"{where}: {told} images of which {len(tiff.pages)} have a page; save it as a BigTIFF")
        for page in tiff.pages:
            frame: Any = page if isinstance(page, tifffile.TiffPage) else page.aspage()
            if frame.axes not in ("YX", "YXS", "SYX") or frame.photometric in (None, 3):
                kind = "a palette" if frame.photometric == 3 else f"axes {frame.axes}"
                raise DataError(f"{where}: has {kind}; save its pages as grey or RGB")
            if np.dtype(frame.dtype).name not in ("uint8", "uint16", "float32", "float64", "bool"):
                raise DataError(f"{where}: holds {frame.dtype}; save it as uint8, uint16, float32 or float64")
            _refuse_bomb(where, frame.imagewidth * frame.imagelength)
            height, width = frame.imagelength, frame.imagewidth
            if TURNS.get(_tiff_orientation(frame), (False,))[0]:
                height, width = width, height
            dtype = "uint8" if frame.dtype == bool else np.dtype(frame.dtype).name
            found.append(Looks(height, width, frame.samplesperpixel, dtype))
    return found


def _decode_tiff(file: BinaryIO, number: int) -> NDArray[Any]:
    import tifffile

    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        page: Any = tiff.pages[number]
        frame = page if isinstance(page, tifffile.TiffPage) else page.aspage()
        pixels = frame.asarray()
        if frame.axes == "SYX":
            pixels = np.moveaxis(pixels, 0, 2)
        pixels = pixels.reshape(*pixels.shape[:2], -1)
        pixels = pixels.astype(np.uint8) if pixels.dtype == bool else pixels.astype(pixels.dtype.newbyteorder("="))
        return upright(pixels, _tiff_orientation(frame))


def _tiff_orientation(frame: Any) -> int:
    tag = frame.tags.get(ORIENTATION)
    return 1 if tag is None else int(tag.value)
