"""A preview shows the very pixels of the rows that it names, and says how it shows them."""

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from data import samples_made
from PIL import Image

from hpcjobs.data.pictures import GAP, LINE
from hpcjobs.data.preview import preview
from hpcjobs.data.schema import Contents, Variable, rows_of, texts
from hpcjobs.data.writing import write_file
from hpcjobs.errors import DataError, SettingsError


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


def tile(sheet: np.ndarray, index: int, height: int, width: int, factor: int, across: int = 6) -> np.ndarray:
    """The image of one cell of a sheet, in its own size, of images enlarged `factor` times."""
    left = GAP + index % across * (max(width * factor, 96) + GAP)
    top = GAP + index // across * (height * factor + LINE + GAP)
    return sheet[top : top + height * factor : factor, left : left + width * factor : factor]


def test_the_rows_named_are_shown_pixel_by_pixel(tmp_path: Path) -> None:
    held = samples_made.ours(tmp_path / "a.h5")
    report = preview(str(tmp_path / "a.h5"), tmp_path / "s.png", rows=[7, 199, 0])
    assert str(report) == f"{tmp_path}/s.png: 3 of 200 images of 5 x 4 x 3 uint8"
    sheet = pixels(tmp_path / "s.png")
    for index, row in enumerate((7, 199, 0)):
        np.testing.assert_array_equal(tile(sheet, index, 5, 4, 19, across=3), held["x"][row])
    assert (sheet[-LINE - GAP + 2 :] < 100).any()  # captions


def test_without_names_rows_are_spread_evenly(tmp_path: Path) -> None:
    held = samples_made.ours(tmp_path / "a.h5")
    preview(str(tmp_path / "a.h5"), tmp_path / "s.png")
    sheet = pixels(tmp_path / "s.png")
    for index in (0, 5, 6, 23):
        np.testing.assert_array_equal(tile(sheet, index, 5, 4, 19), held["x"][index * 200 // 24])


def test_flat_rows_become_images_and_numbers_become_brightness(tmp_path: Path) -> None:
    values = np.linspace(-3, 5, 2 * 48).reshape(2, 48)
    values[1, 47] = np.nan
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = values
    report = preview(str(tmp_path / "a.h5"), tmp_path / "s.png", shape="6x8")
    low, high = np.nanmin(values), np.nanmax(values)
    assert f"6 x 8 float64, {low:g} shown black and {high:g} white" in str(report)
    expected = np.rint(255 * (np.nan_to_num(values, nan=low) - low) / (high - low)).reshape(2, 6, 8)
    sheet = pixels(tmp_path / "s.png")
    for index in (0, 1):
        np.testing.assert_array_equal(tile(sheet, index, 6, 8, 12, across=2)[..., 0], expected[index])


def test_large_grey_and_transparent_images_have_their_place(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["grey"] = np.full((2, 300, 600), 200, np.uint8)
        file["deep"] = np.arange(2 * 40 * 40, dtype=np.uint16).reshape(2, 40, 40, 1) * 20
        file["clear"] = np.zeros((1, 50, 50, 4), np.uint8) + np.uint8([200, 0, 0, 0])
    preview(f"{tmp_path}/a.h5:/grey", tmp_path / "grey.png")
    assert (pixels(tmp_path / "grey.png")[GAP : GAP + 96, GAP : GAP + 192] == 200).all()
    assert "63980 white" in str(preview(f"{tmp_path}/a.h5:/deep", tmp_path / "deep.png"))
    preview(f"{tmp_path}/a.h5:/clear", tmp_path / "clear.png")
    assert (pixels(tmp_path / "clear.png")[:50] == 255).all()


def test_a_table_is_shown_as_histograms_of_its_features(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(500, 14)).astype(np.float32)
    x[3, 2] = np.nan
    variables = {
        "/data/x": Variable(("id", "feature"), rows_of(x, 500, 0), "x"),
        "/data/id": Variable(("id",), rows_of(np.arange(500), 500, 0), "id"),
        "/data/feature_name": Variable(("feature",), texts(f"f${index}" for index in range(14)), "name"),
    }
    write_file(tmp_path / "a.h5", Contents("input", "costs in $", variables))
    report = preview(str(tmp_path / "a.h5"), tmp_path / "t.png")
    assert str(report) == f"{tmp_path}/t.png: 12 of 14 features in 500 of 500 rows"
    shown = pixels(tmp_path / "t.png")
    assert shown.shape[1] == 900
    assert (shown == (0x3B, 0x6E, 0xA5)).all(axis=2).any()


def test_a_long_table_is_looked_at_in_evenly_spread_runs(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.arange(50_000.0)
    assert "1 of 1 features in 20000 of 50000 rows" in str(preview(str(tmp_path / "a.h5"), tmp_path / "t.png"))


@pytest.mark.parametrize(
    ("source", "out", "options", "message"),
    [
        ("a.h5", "s.jpg", {}, "unknown kind of picture '.jpg'; expected .png"),
        ("a.h5", "there.png", {}, "exists already"),
        ("a.h5", "s.png", {"rows": [3, 200]}, "--rows 200: .*a.h5 has rows 0 to 199"),
        ("a.h5", "s.png", {"shape": "5x5"}, "--shape 5x5: 25 values; a row of .*a.h5 has 60"),
        ("a.h5", "s.png", {"shape": "5"}, "--shape '5': expected HxW or HxWxC"),
        ("a.h5", "s.png", {"shape": "0x60"}, "--shape '0x60': expected HxW"),
        ("a.h5:/data/x", "s.png", {"rows": [200]}, "--rows 200"),
        ("f.h5:/seven", "s.png", {}, r"a row has shape \(4, 4, 7\); expected an image"),
        ("f.h5:/flat", "s.png", {"rows": [1]}, "--rows shows images; name their --shape HxW"),
        ("absent.h5", "s.png", {}, "no such file"),
    ],
)
def test_what_cannot_be_shown_is_named(
    tmp_path: Path, source: str, out: str, options: dict[str, object], message: str
) -> None:
    samples_made.ours(tmp_path / "a.h5")
    (tmp_path / "there.png").write_bytes(b"precious")
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["seven"] = np.ones((3, 4, 4, 7))
        file["flat"] = np.ones((4, 5))
    before = sorted(tmp_path.iterdir())
    with pytest.raises((DataError, SettingsError), match=message):
        preview(f"{tmp_path}/{source}", tmp_path / out, **options)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("library", "extra", "shape"), [("PIL.Image", "imaging", "2x2"), ("matplotlib.figure", "report", None)]
)
def test_a_missing_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, extra: str, shape: str | None
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.ones((3, 4))
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(SettingsError, match=rf"needs .*: pip install 'hpcjobs\[{extra}\]'"):
        preview(str(tmp_path / "a.h5"), tmp_path / "s.png", shape=shape)


def test_changed_images_stand_beside_those_they_come_from(tmp_path: Path) -> None:
    held = samples_made.ours(tmp_path / "a.h5")

    def versions(images: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
        np.testing.assert_array_equal(images, held["x"][rows])
        return {"": images, "turned": images[:, ::-1]}

    report = preview(str(tmp_path / "a.h5"), tmp_path / "s.png", rows=[7, 199], versions=versions)
    assert "2 of 200 images" in str(report)
    sheet = pixels(tmp_path / "s.png")
    for index, row in enumerate((7, 199)):
        np.testing.assert_array_equal(tile(sheet, 2 * index, 5, 4, 19, across=4), held["x"][row])
        np.testing.assert_array_equal(tile(sheet, 2 * index + 1, 5, 4, 19, across=4), held["x"][row][::-1])
