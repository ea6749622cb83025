"""PNG pictures: a contact sheet of images, histograms of features. Pillow and matplotlib are loaded when asked for."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data import extras

ACROSS = 6  # images in a row of a sheet, features in a row of a figure: half of it
SMALLEST, LARGEST = 96, 192  # pixels of an image on a sheet
GAP, LINE, FONT = 6, 16, 11
BINS = 40
DARK = 127


def contact_sheet(images: NDArray[Any], captions: Sequence[str]) -> tuple[bytes, str]:
    """Images (count, height, width[, channels]) with their captions as PNG, and how values became brightness.

    Small images are enlarged by a whole number, pixel by pixel; large ones are reduced.
    """
    picture = extras.load("PIL.Image", "imaging", "a contact sheet")
    draw = extras.load("PIL.ImageDraw", "imaging", "a contact sheet")
    font = extras.load("PIL.ImageFont", "imaging", "a contact sheet").load_default(FONT)
    levels, scale = _levels(images)
    height, width = images.shape[1:3]
    factor = max(1, SMALLEST // max(height, width)) if max(height, width) <= LARGEST else LARGEST / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    across = min(ACROSS, len(images))
    cell = max(size[0], SMALLEST) + GAP, size[1] + LINE + GAP
    sheet = picture.new("RGB", (across * cell[0] + GAP, -(-len(images) // across) * cell[1] + GAP), "white")
    pen = draw.Draw(sheet)
    for index, (pixels, caption) in enumerate(zip(levels, captions, strict=True)):
        left, top = GAP + index % across * cell[0], GAP + index // across * cell[1]
        one = picture.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)
        one = one.resize(size, picture.Resampling.NEAREST if factor >= 1 else picture.Resampling.BOX).convert("RGBA")
        sheet.paste(one, (left, top), one)
        pen.text((left, top + size[1] + 1), _fitting(caption, font, cell[0] - GAP), fill="black", font=font)
    content = io.BytesIO()
    sheet.save(content, "PNG")
    return content.getvalue(), scale


def histograms(values: NDArray[Any], names: Sequence[str], title: str) -> bytes:
    """The distribution of each feature of `values` (rows, features) as PNG; what is not finite is left out."""
    figures = extras.load("matplotlib.figure", "report", "the figure of a table")
    across = min(ACROSS // 2, len(names))
    down = -(-len(names) // across)
    figure = figures.Figure(figsize=(3 * across, 2 * down + 0.4), layout="constrained")
    figure.suptitle(title.replace("$", r"\$"), fontsize=9)
    for index, name in enumerate(names):
        axes = figure.add_subplot(down, across, index + 1)
        column = values[:, index].astype(np.float64)
        axes.hist(column[np.isfinite(column)], bins=BINS, color="#3b6ea5")
        axes.set_title(name.replace("$", r"\$"), fontsize=8)
        axes.tick_params(labelsize=7)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=100)
    return content.getvalue()


def _levels(images: NDArray[Any]) -> tuple[NDArray[np.uint8], str]:
    """Brightness 0 to 255: bytes as they are unless all are dark, else from the least value to the greatest."""
    if images.dtype == np.uint8 and images.max() > DARK:
        return images, ""
    values = images.astype(np.float64)
    finite = np.isfinite(values)
    low, high = (float(values[finite].min()), float(values[finite].max())) if finite.any() else (0.0, 1.0)
    scaled = np.where(finite, (values - low) / ((high - low) or 1.0), 0.0)
    return np.rint(255 * scaled).astype(np.uint8), f", {low:g} shown black and {high:g} white"


def _fitting(caption: str, font: Any, width: int) -> str:
    """As much of a caption as fits, its end being what tells ids apart."""
    if font.getlength(caption) <= width:
        return caption
    while caption and font.getlength("…" + caption) > width:
        caption = caption[1:]
    return "…" + caption
