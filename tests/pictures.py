"""Small images of known pixels, in every form that `data import` reads."""

import io
import tarfile
import zlib
from pathlib import Path

import numpy as np
import png
from PIL import Image


def pixels(seed: int, height: int = 6, width: int = 8, channels: int = 3, dtype: str = "u1") -> np.ndarray:
    """Random pixels (height, width, channels)."""
    most = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, most, (height, width, channels), dtype, endpoint=True)


def save_png(path: Path, values: np.ndarray) -> None:
    """A PNG of 8 bits a channel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values[:, :, 0] if values.shape[2] == 1 else values).save(path)


def save_deep_png(path: Path, values: np.ndarray) -> None:
    """A PNG of 16 bits a channel, written by another library than the one that Pillow is."""
    height, width, channels = values.shape
    writer = png.Writer(width, height, greyscale=channels < 3, alpha=channels in (2, 4), bitdepth=16)
    with path.open("wb") as file:
        writer.write(file, values.reshape(height, -1).tolist())


def classes(folder: Path, count: int = 4) -> dict[str, np.ndarray]:
    """`count` images in each of two class folders, with what is to be passed over; the pixels by name."""
    found = {}
    for number in range(count):
        for offset, name in ((0, "dog"), (100, "cat")):
            found[f"{name}/{number}.png"] = pixels(number + offset)
    for name, values in found.items():
        save_png(folder / name, values)
    (folder / "cat" / "notes.txt").write_text("no image")
    (folder / "cat" / ".hidden.png").write_bytes(b"no image")
    return found


def archive(path: Path, folder: Path, mode: str) -> Path:
    """A tar archive of a folder, its members in an order of no meaning."""
    with tarfile.open(path, mode) as file:
        for member in sorted(folder.rglob("*"), key=lambda entry: zlib.crc32(entry.name.encode())):
            if member.is_file():
                file.add(member, f"{folder.name}/{member.relative_to(folder)}")
    return path


def add_bytes(file: tarfile.TarFile, name: str, content: bytes, **more: object) -> None:
    """One member of an archive."""
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    for key, value in more.items():
        setattr(entry, key, value)
    file.addfile(entry, io.BytesIO(content))
