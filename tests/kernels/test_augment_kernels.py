"""The kernels that change images: every twin equals the definition bit for bit, and the definition is what it says."""

import numpy as np
import pytest
from scipy import ndimage

from hpcjobs.kernels import augment as kernels
from hpcjobs.kernels.compiling import compile_augment
from hpcjobs.nn.augment import Preparation
from hpcjobs.nn.augmentation import Augmentation

FILLS = {kernels.NEAREST: "nearest", kernels.CONSTANT: "constant", kernels.REFLECT: "reflect", kernels.WRAP: "wrap"}
SHAPES = [(1, 1, 1), (1, 9, 3), (9, 1, 1), (17, 23, 3), (23, 17, 4), (8, 8, 1), (2, 2, 3)]
MATRICES = [
    np.array([[1.0, 0, 0], [0, 1.0, 0]]),
    np.array([[0, 1.0, 0.25], [-1.0, 0, 9.5]]),  # a quarter turn
    np.array([[0.8301, -0.4103, 3.7007], [0.3709, 1.2103, -6.2011]]),
    np.array([[0.0, 0.0, 2.5], [0.0, 0.0, -1.5]]),  # one point for all
    np.array([[-1.7003, 0.3007, 61.31], [0.2019, -2.9013, 40.97]]),  # beyond the edge several times, never on a pixel
]


def images(shape: tuple[int, ...], dtype: str, count: int = 3) -> np.ndarray:
    values = np.random.default_rng(4).integers(0, 256, (count, *shape))
    return values.astype(dtype) if dtype == "uint8" else (values / 7 - 9).astype(dtype)


def maps(matrix: np.ndarray, count: int = 3) -> np.ndarray:
    """The same map for each image, in units of 2**-32."""
    return np.tile(np.rint(matrix.reshape(6) * 2.0**32).astype(np.int64), (count, 1))


@pytest.mark.parametrize("fill", FILLS, ids=FILLS.values())
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_warped_images_are_those_of_the_definition_and_of_scipy(shape: tuple[int, ...], dtype: str, fill: int) -> None:
    given = images(shape, dtype)
    scale = np.linspace(0.5, 2, shape[2], dtype=np.float32)
    shift = np.linspace(-1, 1, shape[2], dtype=np.float32)
    for matrix in MATRICES:
        for size in (shape[:2], (5, 31)):
            expected = np.full((len(given), *size, shape[2]), np.nan, dtype=np.float32)
            found = expected.copy()
            kernels.warp.reference(given, maps(matrix), fill, 77.5, scale, shift, expected)
            kernels.warp(given, maps(matrix), fill, 77.5, scale, shift, found)
            np.testing.assert_array_equal(found, expected)
            for channel in range(shape[2]):
                oracle = ndimage.affine_transform(
                    given[0, ..., channel].astype(np.float64), matrix[:, :2], matrix[:, 2], size, order=1,
                    mode=FILLS[fill], cval=77.5,
                )  # fmt: skip
                if fill == kernels.WRAP and 1 in shape[:2]:
                    continue  # SciPy divides by the width - 1
                np.testing.assert_allclose(found[0, ..., channel], oracle * scale[channel] + shift[channel], atol=0.3)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_colours_are_those_of_the_definition_and_the_formula(channels: int) -> None:
    given = images((7, 11, channels), "uint8").astype(np.float32)
    factors = np.array([[1, 1, 1], [1.3, 0.6, 0.2], [0.7, 1.9, 2.5]], dtype=np.float32)
    scale, shift = np.full(channels, 1 / 255, np.float32), np.full(channels, -0.5, np.float32)
    expected, found = given.copy(), given.copy()
    kernels.colour.reference(expected, factors, 0.0, 255.0, scale, shift)
    kernels.colour(found, factors, 0.0, 255.0, scale, shift)
    np.testing.assert_array_equal(found, expected)

    def grey(image: np.ndarray) -> np.ndarray:
        return image[..., :3] @ [0.299, 0.587, 0.114] if channels >= 3 else image[..., 0]

    for image, (brightness, contrast, saturation), own in zip(given.astype(float), factors, found, strict=True):
        coloured = image[..., :3] * brightness
        mean = grey(coloured).mean()
        coloured = mean + contrast * (coloured - mean)
        level = grey(coloured)[..., None]
        coloured = np.clip(level + (saturation if channels >= 3 else 1) * (coloured - level), 0, 255)
        image[..., :3] = coloured
        np.testing.assert_allclose(own, image / 255 - 0.5, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_standardised_images_have_mean_0_and_deviation_1(shape: tuple[int, ...]) -> None:
    given = images(shape, "float32")
    expected, found = given.copy(), given.copy()
    kernels.standardise.reference(expected)
    kernels.standardise(found)
    np.testing.assert_array_equal(found, expected)
    wide = given.astype(np.float64)
    oracle = wide - wide.mean(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(found, oracle / (oracle.std(axis=(1, 2, 3), keepdims=True) + 1e-6), atol=1e-4)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_every_image_kernel_is_compiled_before_the_work_begins(dtype: str, channels: int) -> None:
    from hpcjobs.kernels.cpu import augment as twins

    compile_augment(np.dtype(dtype), channels)
    compiled = [len(twin.signatures) for twin in (twins._warp, twins.colour, twins.standardise)]
    images = np.zeros((2, 5, 4, channels), dtype="uint8" if dtype == "uint8" else "float32")
    prepare = Preparation(Augmentation(rotation=3, contrast=0.2, standardise="sample"), (5, 4, channels))
    prepare(images, np.zeros(2), np.arange(2), 0)
    assert [len(twin.signatures) for twin in (twins._warp, twins.colour, twins.standardise)] == compiled
