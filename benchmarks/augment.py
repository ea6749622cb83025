"""Augmenting images against SciPy's affine_transform, called as Keras' ImageDataGenerator does, and Keras itself.

    python benchmarks/augment.py [--images 200] [--size 150] [--turns 5]

All sides get the same images of bytes and the same settings (rotation 40 degrees, shifts 0.2, shear 0.2 degrees, zoom
0.2, horizontal flip, nearest fill, rescale), draw their own numbers, and write float32, on one core. Keras is measured
where it is installed (pip install keras jax; KERAS_BACKEND=jax).
"""

import argparse
import importlib.util
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from fair import clean_start, machine, take_turns

if __name__ == "__main__":
    clean_start(cores=1)

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy import ndimage

from hpcjobs.nn.augment import Preparation
from hpcjobs.nn.augmentation import Augmentation
from hpcjobs.nn.drawing import UNIT, draw

SETTINGS = Augmentation(rotation=40, width_shift=0.2, height_shift=0.2, shear=0.2, zoom=0.2, horizontal_flip=True)
SHARD = 32  # images at a time
Images = NDArray[np.uint8]
Singles = NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description="augmentation: hpcjobs, SciPy and Keras")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--size", type=int, default=150)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    shape = (options.size, options.size, 3)
    given = np.random.default_rng(0).integers(0, 256, (options.images, *shape)).astype(np.uint8)
    wide = given.astype(np.float32)
    sides: dict[str, Callable[[], object]] = {
        "hpcjobs": lambda: deque(by_us(given), maxlen=0),
        "hpcjobs, float32": lambda: deque(by_us(wide), maxlen=0),
        "SciPy": lambda: by_scipy(given),
    }
    if importlib.util.find_spec("keras"):
        generator = keras_generator()
        sides["Keras"] = lambda: [next(generator.flow(given, batch_size=options.images))]
    np.testing.assert_allclose(np.concatenate([*by_us(given[:40])]), by_scipy(given[:40]), atol=1 / 255)
    seconds = take_turns(sides, options.turns)
    print(f"{machine()}; NumPy {np.__version__}, SciPy {scipy.__version__}, medians of {options.turns}")
    print(f"{options.images} images of {options.size} x {options.size} x 3, one core")
    for name, found in seconds.items():
        print(f"  {name:17} {options.images / found:8.0f} images/s  {seconds['SciPy'] / found:6.2f} times SciPy")


def by_us(given: NDArray[Any]) -> Iterator[Singles]:
    """Shard by shard, as a loader does."""
    prepare = Preparation(SETTINGS, given.shape[1:], rescale=1 / 255, seed=1)
    labels = np.zeros(len(given))
    rows = np.arange(len(given))
    for start in range(0, len(given), SHARD):
        part = slice(start, start + SHARD)
        yield prepare(given[part], labels[part], rows[part], 0)[0]


def by_scipy(given: Images) -> Singles:
    """The same maps, each channel by itself, as Keras calls it."""
    out = np.empty(given.shape, dtype=np.float32)
    maps = draw(SETTINGS, given.shape[1:], 1, 0, np.arange(len(given))).maps / 2.0**UNIT
    for image, m, result in zip(given.astype(np.float32), maps.reshape(-1, 2, 3), out, strict=True):
        for channel in range(3):
            result[..., channel] = ndimage.affine_transform(
                image[..., channel], m[:, :2], m[:, 2], order=1, mode="nearest"
            )
        result /= 255
    return out


def keras_generator() -> Any:
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    return ImageDataGenerator(
        rotation_range=40, width_shift_range=0.2, height_shift_range=0.2, shear_range=0.2, zoom_range=0.2,
        horizontal_flip=True, rescale=1 / 255,
    )  # fmt: skip


if __name__ == "__main__":
    main()
