"""Images become rows (height, width, channels) with the values they hold, in the order of their names."""

import io
import os
import struct
import tarfile
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pictures as images
import pytest
import tifffile
from PIL import Image

from hpcjobs.data.importing import ImportOptions, ImportReport, import_table
from hpcjobs.data.inspect import describe_file
from hpcjobs.errors import DataError, SettingsError


def bring_in(source: str | Path, **options: Any) -> tuple[ImportReport, dict[str, np.ndarray]]:
    out = Path(str(source).split(":/")[0] + ".out.h5")
    report = import_table(str(source), out, ImportOptions(force=True, **options))
    with h5py.File(out) as file:
        return report, {name: file["data"][name][()] for name in file["data"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "photos"


@pytest.mark.parametrize("form", ["folder", "photos.tar", "photos.tar.gz", "photos.tgz", "photos.tar.xz"])
def test_class_folders_become_rows_ids_and_classes_from_a_folder_and_from_archives(folder: Path, form: str) -> None:
    expected = images.classes(folder)
    source = folder
    if form != "folder":
        compression = form.rpartition(".")[2].replace("tgz", "gz")
        source = images.archive(folder.parent / form, folder, f"w:{compression}" if "tar" != compression else "w")
    report, data = bring_in(source)
    names = sorted(expected)
    assert data["id"].tolist() == [name.encode() for name in names]
    np.testing.assert_array_equal(data["x"], np.stack([expected[name] for name in names]))
    assert data["y"].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert data["class_name"].tolist() == [b"cat", b"dog"]
    assert (report.row_shape, report.dtype, report.passed_over) == ((6, 8, 3), "uint8", 1)
    assert str(report).endswith(
        "8 rows x 6 x 8 x 3 of uint8, id: text, target: class (2 classes), other files passed over: 1"
    )
    with h5py.File(report.out) as file:
        assert [axis[0].name for axis in file["data/x"].dims] == [
            "/data/id",
            "/data/row",
            "/data/column",
            "/data/channel",
        ]


def test_one_flat_folder_has_no_classes(folder: Path) -> None:
    images.save_png(folder / "b.png", images.pixels(1, channels=1))
    images.save_png(folder / "a.png", images.pixels(2, channels=1))
    report, data = bring_in(folder)
    assert "y" not in data
    assert data["id"].tolist() == [b"a.png", b"b.png"]
    assert data["x"].shape == (2, 6, 8, 1)
    assert report.target == "none"


def test_a_part_of_an_archive_is_named_like_a_data_set(folder: Path) -> None:
    images.classes(folder / "train")
    images.classes(folder / "test", count=2)
    path = images.archive(folder.parent / "all.tar.gz", folder, "w:gz")
    with pytest.raises(DataError, match=r"folders of folders.*such as .*all.tar.gz:/test"):
        bring_in(path)
    report, _ = bring_in(f"{path}:/photos/test")
    assert report.rows == 4
    with pytest.raises(DataError, match=r"all.tar.gz:/photos/tests: holds no images"):
        bring_in(f"{path}:/photos/tests")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_of_16_bits_keeps_every_bit(folder: Path, channels: int) -> None:
    folder.mkdir()
    values = images.pixels(5, channels=channels, dtype="u2")
    images.save_deep_png(folder / "a.png", values)
    _, data = bring_in(folder)
    assert data["x"].dtype == np.uint16
    np.testing.assert_array_equal(data["x"][0], values)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", ">u2", "float32"])
def test_a_tiff_stack_is_one_row_a_page_and_keeps_its_type(tmp_path: Path, dtype: str, compression: str | None) -> None:
    stack = np.random.default_rng(3).integers(0, 200, (12, 5, 7)).astype(dtype)
    order = ">" if dtype == ">u2" else "<"
    with tifffile.TiffWriter(tmp_path / "cells.tif", byteorder=order) as writer:
        for page in stack:
            writer.write(page, photometric="minisblack", compression=compression, contiguous=False)
    _, data = bring_in(tmp_path / "cells.tif")
    assert data["x"].dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(data["x"][..., 0], stack)
    assert data["id"].tolist() == [f"cells.tif#{page:02}".encode() for page in range(12)]


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_channels_of_a_tiff_come_last(tmp_path: Path, planar: str) -> None:
    values = images.pixels(4, channels=3, dtype="u2")
    stored = values if planar == "contig" else np.moveaxis(values, 2, 0)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar)
    np.testing.assert_array_equal(bring_in(tmp_path / "a.tif")[1]["x"][0], values)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_turned_upright_as_pillow_turns_them(folder: Path, orientation: int) -> None:
    from PIL import ImageOps

    folder.mkdir()
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(images.pixels(1)).save(folder / "a.jpg", exif=exif, quality=95)
    with Image.open(folder / "a.jpg") as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(bring_in(folder)[1]["x"][0], expected)


def test_sizes_are_covered_and_the_middle_is_cut_out(folder: Path) -> None:
    folder.mkdir()
    shapes = {"a": (40, 60), "b": (61, 40), "c": (7, 5), "d": (16, 24), "e": (16, 16)}
    for number, (name, shape) in enumerate(shapes.items()):
        images.save_png(folder / f"{name}.png", images.pixels(number, *shape))
    with pytest.raises(DataError, match=r"is 40x60, b.png is 61x40: images of different .*--size 64x64"):
        bring_in(folder)
    _, data = bring_in(folder, size="16x20")
    assert data["x"].shape == (5, 16, 20, 3)
    for row, (scaled, top, left) in enumerate(
        [((16, 24), 0, 2), ((31, 20), 7, 0), ((28, 20), 6, 0), ((16, 24), 0, 2), ((20, 20), 2, 0)]
    ):
        with Image.open(folder / f"{'abcde'[row]}.png") as image:
            large = np.asarray(image.resize(scaled[::-1], Image.Resampling.BILINEAR))
        np.testing.assert_array_equal(data["x"][row], large[top : top + 16, left : left + 20])


def test_deep_images_are_scaled_without_losing_their_range(folder: Path) -> None:
    folder.mkdir()
    images.save_deep_png(folder / "a.png", np.full((10, 20, 1), 65535, dtype=np.uint16))
    _, data = bring_in(folder, size="5x5")
    assert data["x"].dtype == np.uint16
    assert (data["x"] == 65535).all()


def test_channels_change_only_when_asked(folder: Path) -> None:
    folder.mkdir()
    grey, colour = images.pixels(1, channels=1), images.pixels(2, channels=3)
    images.save_png(folder / "a.png", grey)
    images.save_png(folder / "b.png", colour)
    with pytest.raises(DataError, match=r"a.png: is grey, b.png is RGB: .*--channels grey"):
        bring_in(folder)
    rgb = bring_in(folder, channels="rgb")[1]["x"]
    np.testing.assert_array_equal(rgb, np.stack([np.repeat(grey, 3, axis=2), colour]))
    only_grey = bring_in(folder, channels="grey")[1]["x"]
    np.testing.assert_array_equal(only_grey[1, :, :, 0], np.asarray(Image.fromarray(colour).convert("L")))
    rgba = bring_in(folder, channels="rgba")[1]["x"]
    np.testing.assert_array_equal(rgba[1], np.asarray(Image.fromarray(colour).convert("RGBA")))


def test_palettes_become_rgb(folder: Path) -> None:
    folder.mkdir()
    image = Image.fromarray(images.pixels(3)).quantize(5)
    image.save(folder / "a.png")
    np.testing.assert_array_equal(bring_in(folder)[1]["x"][0], np.asarray(image.convert("RGB")))


def test_dtype_converts_without_scaling(folder: Path) -> None:
    values = images.pixels(1)
    images.save_png(folder / "a.png", values)
    found = bring_in(folder, dtype="float32")[1]["x"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[0], values)


def damaged_png(folder: Path) -> None:
    content = bytearray((folder / "dog/1.png").read_bytes())
    content[60] ^= 255
    (folder / "dog/1.png").write_bytes(content)


def cut_jpeg(folder: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(images.pixels(1)).save(file, "JPEG")
    (folder / "dog/1.png").write_bytes(file.getvalue()[:-30])


def bomb(folder: Path) -> None:
    head = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    (folder / "dog/1.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def text(folder: Path) -> None:
    (folder / "dog/1.png").write_text("<html>404</html>")


def empty(folder: Path) -> None:
    (folder / "dog/1.png").write_bytes(b"")


@pytest.mark.parametrize(
    ("harm", "message"),
    [(damaged_png, "damaged"), (cut_jpeg, "damaged"), (bomb, "pixels, as a decompression bomb"),
     (text, "damaged, or no image"), (empty, "damaged, or no image")],
)  # fmt: skip
def test_a_damaged_image_is_named_or_skipped_and_counted(folder: Path, harm: Any, message: str) -> None:
    images.classes(folder)
    harm(folder)
    with pytest.raises(DataError, match=rf"photos: dog/1.png: .*{message}"):
        bring_in(folder)
    report, data = bring_in(folder, bad_rows="skip")
    assert (report.rows, report.skipped) == (7, 1)
    assert b"dog/1.png" not in data["id"]


def test_an_image_of_a_kind_that_is_not_read_is_refused(folder: Path) -> None:
    images.classes(folder)
    (folder / "cat" / "a.webp").write_bytes(b"")
    with pytest.raises(DataError, match=r"cat/a.webp: a kind of image that is not read; known: .jpg"):
        bring_in(folder)


def test_images_both_in_and_below_a_folder_are_refused(folder: Path) -> None:
    images.classes(folder)
    images.save_png(folder / "loose.png", images.pixels(1))
    with pytest.raises(DataError, match=r"both in it and in its folders cat, dog"):
        bring_in(folder)


@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        ("/etc/a.png", {}, "outside of it"),
        ("a/../../b.png", {}, "outside of it"),
        ("a.png", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "a link, device"),
        ("a.png", {"type": tarfile.LNKTYPE, "linkname": "b.png"}, "a link, device"),
        ("a.png", {"type": tarfile.CHRTYPE}, "a link, device"),
    ],
)
def test_archives_that_lead_outside_are_refused(tmp_path: Path, name: str, more: dict[str, Any], message: str) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        images.add_bytes(file, name, b"", **more)
    with pytest.raises(DataError, match=message):
        bring_in(tmp_path / "a.tar")


@pytest.mark.parametrize("form", ["a.tar", "a.tar.gz"])
def test_a_truncated_archive_is_refused(folder: Path, form: str) -> None:
    images.classes(folder)
    path = images.archive(folder.parent / form, folder, "w:gz" if form.endswith("gz") else "w")
    content = path.read_bytes()
    for kept in (len(content) * 2 // 3 // 512 * 512, 700):
        path.write_bytes(content[:kept])
        with pytest.raises(DataError, match=r"truncated|not a readable tar archive"):
            bring_in(path)


def test_names_of_patients_stay_secret(folder: Path, tmp_path: Path) -> None:
    images.classes(folder)
    key = tmp_path / "key"
    key.write_bytes(b"0123456789abcdef")
    key.chmod(0o600)
    report, data = bring_in(folder, pseudonymise="id", key=str(key))
    assert report.identities == "pseudonym"
    assert all(len(name) == 32 for name in data["id"])
    assert b"0.png" not in report.out.read_bytes()
    damaged_png(folder)
    with pytest.raises(DataError, match=r"an image .its name stays secret") as told:
        bring_in(folder, pseudonymise="id", key=str(key))
    assert "1.png" not in str(told.value)


@pytest.mark.parametrize("size", ["64", "0x4", "ax4", "64x64x3", "-1x5"])
def test_a_size_that_is_none_is_refused(folder: Path, size: str) -> None:
    with pytest.raises(SettingsError, match="expected HEIGHTxWIDTH in pixels"):
        bring_in(folder, size=size)


def test_options_of_other_sources_are_refused(folder: Path, tmp_path: Path) -> None:
    images.classes(folder)
    with pytest.raises(SettingsError, match=r"--id: only text sources .CSV, TSV. and Parquet have it; .*images"):
        bring_in(folder, id_column="name")
    (tmp_path / "a.csv").write_text("1,2\n")
    with pytest.raises(SettingsError, match=r"--size: only images have it; .*a.csv"):
        bring_in(tmp_path / "a.csv", size="4x4")


def test_a_folder_that_changes_meanwhile_is_refused(folder: Path) -> None:
    images.classes(folder)

    def meddle(done: int, total: int) -> None:
        (folder / "cat" / "new.png").write_bytes(b"")

    with pytest.raises(DataError, match="changed while it was read"):
        import_table(str(folder), folder.parent / "a.h5", progress=meddle)


def test_real_photos_come_in(tmp_path: Path) -> None:
    place = os.environ.get("HPCJOBS_TEST_DATA", "")
    if not place:
        pytest.skip("HPCJOBS_TEST_DATA names no folder with cats-vs-dogs.tar")
    report = import_table(f"{place}/cats-vs-dogs.tar", tmp_path / "a.h5", ImportOptions(size="32x32"))
    assert (report.rows, report.row_shape, report.classes) == (2000, (32, 32, 3), 2)
    assert describe_file(report.out)["record"]
