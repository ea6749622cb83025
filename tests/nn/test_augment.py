"""Images are changed as Keras would with the same numbers, and the numbers follow from seed, pass and row alone."""

import hashlib
from typing import Any

import numpy as np
import pytest
from scipy import ndimage, special

from hpcjobs.errors import SettingsError
from hpcjobs.nn.augment import Preparation
from hpcjobs.nn.augmentation import Augmentation, check, zooms
from hpcjobs.nn.drawing import draw, maps_of

EVERYTHING = Augmentation(
    rotation=40, width_shift=0.2, height_shift=3, shear=10, zoom="0.7:1.4", horizontal_flip=True, vertical_flip=True,
    fill="reflect", crop="9x7", crop_padding=2, brightness=0.3, contrast=0.4, saturation=0.5, cutout=3, mixup=0.4,
)  # fmt: skip


def images(count: int, shape: tuple[int, ...], dtype: str = "uint8") -> np.ndarray:
    return np.random.default_rng(9).integers(0, 256, (count, *shape)).astype(dtype)


def apply(augmentation: Augmentation, given: np.ndarray, **more: Any) -> np.ndarray:
    rows = np.arange(len(given)) + 1000
    prepared, _ = Preparation(augmentation, given.shape[1:], **more)(given, np.zeros(len(given)), rows, 3)
    return prepared


def numbers(seed: int, number: int, row: int) -> np.ndarray:
    """The sixteen numbers of a row, as documented."""
    key = np.frombuffer(hashlib.sha256(f"{seed}:augmentation".encode()).digest()[:16], "<u8")
    words = np.random.Philox(key=key, counter=[4 * row, 0, number, 0]).random_raw(16)
    return (words >> np.uint64(11)) / 2**53


def by_keras(image: np.ndarray, theta: float, tx: float, ty: float, shear: float, zx: float, zy: float) -> np.ndarray:
    """`apply_affine_transform` of Keras 3 (keras/src/legacy/preprocessing/image.py), for square images."""
    theta, shear = np.deg2rad(theta), np.deg2rad(shear)
    rotation = np.array([[np.cos(theta), -np.sin(theta), 0], [np.sin(theta), np.cos(theta), 0], [0, 0, 1]])
    shift = np.array([[1, 0, tx], [0, 1, ty], [0, 0, 1]])
    shearing = np.array([[1, -np.sin(shear), 0], [0, np.cos(shear), 0], [0, 0, 1]])
    matrix = rotation @ shift @ shearing @ np.diag([zx, zy, 1])
    half = image.shape[0] / 2 - 0.5
    there, back = np.eye(3), np.eye(3)
    there[:2, 2], back[:2, 2] = half, -half
    matrix = there @ matrix @ back
    matrix[:, [0, 1]] = matrix[:, [1, 0]]
    matrix[[0, 1]] = matrix[[1, 0]]
    channels = [
        ndimage.affine_transform(
            image[..., c].astype(np.float32), matrix[:2, :2], matrix[:2, 2], order=1, mode="nearest"
        )
        for c in range(image.shape[2])
    ]
    return np.stack(channels, axis=-1)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 2, 1), (17, 17, 4), (64, 64, 3)], ids=str)
def test_images_are_changed_as_by_keras(shape: tuple[int, int, int], dtype: str) -> None:
    given = images(5, shape, dtype)
    told = Augmentation(rotation=40, width_shift=0.2, height_shift=0.3, shear=20, zoom=0.25)
    prepared = apply(told, given, seed=7)
    for index, image in enumerate(given):
        u = 2 * numbers(7, 3, 1000 + index) - 1
        size = shape[0]
        expected = by_keras(
            image, 40 * u[0], 0.2 * size * u[2], 0.3 * size * u[1], 20 * u[3], 1 + 0.25 * u[5], 1 + 0.25 * u[4]
        )
        np.testing.assert_allclose(prepared[index], expected, atol=1)


def test_oblong_images_turn_about_their_middle() -> None:
    given = images(2, (9, 5, 3))
    none, one, no = np.zeros(2), np.ones(2), np.zeros(2, dtype=bool)
    half_turn = maps_of((9, 5, 3), 180 * one, none, none, none, (one, one), (no, no), (none, none))
    expected = [-1, 0, 8, 0, -1, 4]
    np.testing.assert_allclose(half_turn / 2.0**32, [expected, expected], atol=1e-8)
    assert np.array_equal(apply(Augmentation(), given), given.astype(np.float32))


def test_shifts_move_along_the_axis_that_they_name() -> None:
    none, one, no = np.zeros(1), np.ones(1), np.zeros(1, dtype=bool)
    (found,) = maps_of((9, 5, 3), none, 2 * one, 3 * one, none, (one, one), (no, no), (none, none))
    assert (found / 2.0**32).tolist() == [1, 0, 2, 0, 1, 3]


def test_flips_and_crops_are_exact() -> None:
    given = images(40, (12, 8, 3))
    prepared = apply(Augmentation(horizontal_flip=True, vertical_flip=True, crop="6x5"), given, seed=2)
    flipped = np.zeros(2)
    for index, image in enumerate(given):
        u = numbers(2, 3, 1000 + index)
        flips = u[7] < 0.5, u[6] < 0.5
        flipped += flips
        top, left = int(u[8] * 7), int(u[9] * 4)
        turned = image[:: -1 if flips[0] else 1, :: -1 if flips[1] else 1]
        np.testing.assert_array_equal(prepared[index], turned[top : top + 6, left : left + 5])
    assert (flipped > 10).all() and (flipped < 30).all()


def test_a_crop_may_reach_into_the_padding() -> None:
    given = images(30, (8, 8, 1))
    prepared = apply(Augmentation(crop="8x8", crop_padding=4, fill="constant", fill_value=7), given)
    for index, image in enumerate(given):
        u = numbers(0, 3, 1000 + index)
        top, left = int(u[8] * 9), int(u[9] * 9)
        around = np.pad(image[..., 0], 4, constant_values=7)
        np.testing.assert_array_equal(prepared[index, ..., 0], around[top : top + 8, left : left + 8])


def test_without_chance_images_are_only_rescaled_and_cropped_from_the_middle() -> None:
    given = images(3, (12, 9, 3))
    prepared = Preparation(EVERYTHING, (12, 9, 3), rescale=1 / 255).plain(given)
    np.testing.assert_array_equal(prepared, given[:, 1:10, 1:8].astype(np.float32) * np.float32(1 / 255))


def test_what_happens_to_a_row_depends_on_no_other() -> None:
    told = Augmentation(**{name: getattr(EVERYTHING, name) for name in EVERYTHING.__struct_fields__ if name != "mixup"})
    given, rows = images(6, (12, 9, 3)), np.array([5, 2**40, 0, 77, 3, 4])
    prepare = Preparation(told, (12, 9, 3), seed=3)
    whole, _ = prepare(given, rows, rows, 1)
    assert whole.shape == (6, *prepare.prepared_shape) == (6, 9, 7, 3)
    for index in range(6):
        alone, _ = prepare(given[[index]], rows[[index]], rows[[index]], 1)
        np.testing.assert_array_equal(alone[0], whole[index])
    other_pass, other_seed = (
        prepare(given, rows, rows, 2)[0],
        Preparation(told, (12, 9, 3), seed=4)(given, rows, rows, 1)[0],
    )
    assert all((whole[index] != other_pass[index]).any() for index in range(6))
    assert all((whole[index] != other_seed[index]).any() for index in range(6))
    assert prepare(given[:0], rows[:0], rows[:0], 1)[0].shape == (0, 9, 7, 3)


def test_drawn_numbers_fill_their_ranges() -> None:
    drawn = draw(EVERYTHING, (12, 9, 3), 1, 0, np.arange(2000))
    for factors, extent in zip(drawn.factors.T, (0.3, 0.4, 0.5), strict=True):
        assert 1 - extent <= factors.min() < 1 - 0.9 * extent and 1 + 0.9 * extent < factors.max() <= 1 + extent
    assert set(drawn.holes[:, 0]) == set(range(9)) and set(drawn.holes[:, 1]) == set(range(7))
    np.testing.assert_allclose(np.mean(drawn.shares), 0.5, atol=0.03)
    np.testing.assert_allclose(np.var(drawn.shares), 1 / (4 * (2 * 0.4 + 1)), atol=0.01)


def test_bytes_stay_within_their_range_when_recoloured() -> None:
    told = Augmentation(brightness=0.9, contrast=0.9)
    prepared = apply(told, images(20, (6, 6, 3)))
    assert prepared.min() == 0 and prepared.max() == 255
    assert apply(told, images(20, (6, 6, 3), "float32")).max() > 255


def test_standardised_images_are_those_of_keras() -> None:
    given = images(4, (6, 5, 3))
    scaled = given / 255
    by_sample = apply(Augmentation(standardise="sample"), given, rescale=1 / 255)
    axes = (1, 2, 3)
    deviation = scaled.std(axis=axes, keepdims=True) + 1e-6
    np.testing.assert_allclose(by_sample, (scaled - scaled.mean(axis=axes, keepdims=True)) / deviation, atol=1e-5)


def test_a_hole_is_cut_out_of_each_image() -> None:
    given = np.full((50, 9, 9, 1), 200, np.uint8)
    prepared = apply(Augmentation(cutout=4), given, rescale=1 / 255)
    for index, image in enumerate(prepared[..., 0]):
        u = numbers(0, 3, 1000 + index)
        top, left = int(u[13] * 9) - 2, int(u[14] * 9) - 2
        hole = np.zeros((9, 9), dtype=bool)
        hole[max(0, top) : top + 4, max(0, left) : left + 4] = True
        assert not image[hole].any() and (image[~hole] > 0).all()


@pytest.mark.parametrize("classes", [0, 5])
def test_mixup_mixes_a_shard_with_itself_backwards(classes: int) -> None:
    given, rows = images(5, (3, 3, 1)), np.arange(5)
    labels = np.array([0, 4, 1, 2, 3])
    prepare = Preparation(Augmentation(mixup=0.4), (3, 3, 1), seed=6, classes=classes)
    x, y = prepare(given, labels, rows, 8)
    assert y.dtype == np.float32
    known = np.eye(5)[labels] if classes == 5 else labels.astype(float)
    for row in range(5):
        share = special.betaincinv(0.4, 0.4, numbers(6, 8, row)[15])
        np.testing.assert_allclose(x[row], share * given[row] + (1 - share) * given[4 - row], atol=1e-3)
        np.testing.assert_allclose(y[row], share * known[row] + (1 - share) * known[4 - row], atol=1e-5)


@pytest.mark.parametrize(
    ("told", "shape", "message"),
    [
        ({"zoom": "0.5"}, (8, 8, 3), "zoom is '0.5': expected a number, or LOW:HIGH"),
        ({"zoom": "1.2:0.8"}, (8, 8, 3), "zoom is '1.2:0.8': 1.2 to 0.8, expected a range within"),
        ({"zoom": 1.0}, (8, 8, 3), "zoom is 1.0: 0 to 2"),
        ({"zoom": "nan:1"}, (8, 8, 3), "zoom is 'nan:1'"),
        ({"crop": "4"}, (8, 8, 3), "crop is '4': expected HxW"),
        ({"crop": "10x8"}, (8, 8, 3), "crop is 10x8, but images are 8x8; take less, or more crop-padding"),
        ({"crop": "13x8", "crop_padding": 2}, (8, 8, 3), "images are 8x8 with 2 around"),
        ({"crop_padding": 2}, (8, 8, 3), "crop-padding is 2 and there is no crop; say crop 8x8"),
        ({"brightness": 0.2}, (8, 8, 2), "images of 2 channels have no brightness"),
        ({"saturation": 0.2}, (8, 8, 1), "saturation is of colours, and the images are grey"),
        ({"cutout": 9}, (8, 8, 1), "cutout is 9, more than an image of 8x8"),
        ({}, (2**15 + 1, 8, 1), "cannot be augmented: a side has 32768 pixels at most"),
    ],
)
def test_what_cannot_be_done_is_refused(told: dict[str, Any], shape: tuple[int, int, int], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        check(Augmentation(**told), shape)


def test_zoom_is_a_share_or_a_range() -> None:
    assert zooms(Augmentation(zoom=0.25)) == (0.75, 1.25)
    assert zooms(Augmentation(zoom="0.5:1")) == (0.5, 1.0)
