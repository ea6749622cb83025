"""Images and labels as they are trained on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels import augment as kernels
from hpcjobs.nn.augmentation import Augmentation, check, cropped
from hpcjobs.nn.channels import Channels
from hpcjobs.nn.drawing import Drawn, centred, draw

Array = NDArray[Any]
Singles = NDArray[np.float32]
Integers = NDArray[np.int64]
BRIGHTEST = 255.0  # the most that a byte can hold


@dataclass(frozen=True)
class Preparation:
    """An augmentation of images of one shape (height, width, channels), ready to be applied by a loader.

    `rescale` is what all values are multiplied by in the end, `channels` what standardising by feature takes. With
    mixup labels become shares of `classes` (n, classes), or stay one number an image where these are 0: two classes,
    or numbers.
    """

    augmentation: Augmentation
    shape: tuple[int, ...]
    rescale: float = 1.0
    seed: int = 0
    classes: int = 0
    channels: Channels | None = None

    def __post_init__(self) -> None:
        check(self.augmentation, self.shape)

    @property
    def prepared_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of what comes out."""
        return (*cropped(self.augmentation, self.shape), self.shape[2])

    def __call__(self, images: Array, labels: Array, rows: Integers, number: int) -> tuple[Singles, Array]:
        """Images (n, height, width, channels) and labels (n,) of some rows (n,) in pass `number`."""
        drawn = draw(self.augmentation, self.shape, self.seed, number, rows)
        prepared = self._changed(images, drawn.maps, drawn)
        if not self.augmentation.mixup:
            return prepared, labels
        # Row i is mixed with row n - 1 - i of the same shard.
        shares = drawn.shares.astype(np.float32)
        targets = _shares(labels, self.classes)
        return _mixed(prepared, shares), _mixed(targets, shares)

    def plain(self, images: Array) -> Singles:
        """Images (n, ...) without chance: cropped from the middle, rescaled, standardised; to validate and predict."""
        return self._changed(images, centred(self.augmentation, self.shape, len(images)), None)

    def _changed(self, images: Array, maps: Integers, drawn: Drawn | None) -> Singles:
        """Images warped, recoloured, rescaled, standardised and cut out."""
        told = self.augmentation
        out = np.empty((len(images), *self.prepared_shape), dtype=np.float32)
        given = np.ascontiguousarray(images if images.dtype == np.uint8 else images.astype(np.float32, copy=False))
        scale, shift = self.scaling()
        factors = drawn.factors if drawn is not None and told.coloured else None
        last = (scale, shift) if factors is None else (np.ones_like(scale), np.zeros_like(shift))
        kernels.warp(given, maps, kernels.FILLS.index(told.fill), told.fill_value, *last, out)
        if factors is not None:
            low, high = (0.0, BRIGHTEST) if images.dtype == np.uint8 else (-np.inf, np.inf)
            kernels.colour(out, factors, low, high, scale, shift)
        if told.standardise == "sample":
            kernels.standardise(out)
        if drawn is not None and told.cutout:
            for image, (row, column) in zip(out, drawn.holes - told.cutout // 2, strict=True):
                image[max(0, row) : row + told.cutout, max(0, column) : column + told.cutout] = 0
        return out

    def scaling(self) -> tuple[Singles, Singles]:
        """What each channel is multiplied by, and what is added then."""
        scale = np.full(self.shape[2], self.rescale)
        shift = np.zeros(self.shape[2])
        if self.augmentation.standardise == "feature":
            assert self.channels is not None
            deviation = self.channels.deviation * abs(self.rescale) + kernels.SMALL
            shift = -self.channels.mean * scale / deviation
            scale = scale / deviation
        return scale.astype(np.float32), shift.astype(np.float32)


def _shares(labels: Array, classes: int) -> Singles:
    """Labels (n,) as shares of classes (n, classes); as they are without classes."""
    if not classes:
        return labels.astype(np.float32)
    found = np.zeros((len(labels), classes), dtype=np.float32)
    found[np.arange(len(labels)), labels] = 1
    return found


def _mixed(rows: Singles, shares: Singles) -> Singles:
    """Rows (n, ...), each with its share (n,), and the row that lies as far from the end with the rest."""
    own = shares.reshape(-1, *(1,) * (rows.ndim - 1))
    return own * rows + (1 - own) * rows[::-1]
