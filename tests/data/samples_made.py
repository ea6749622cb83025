"""A data set with everything that a row can carry, made by `write_file` or by h5py alone."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hpcjobs.data.schema import Contents, Variable, rows_of, text, texts
from hpcjobs.data.writing import write_file

CLASSES = ("ant", "bee", "càt")


def values(rows: int) -> dict[str, np.ndarray]:
    """Images (rows, 5, 4, 3), ids of text, classes, weights, groups and a 2-D variable of a user's own."""
    draw = np.random.default_rng(11)
    return {
        "x": draw.integers(0, 256, size=(rows, 5, 4, 3)).astype(np.uint8),
        "id": texts(f"tile-{row:05d}ä" for row in range(rows)),
        "y": (np.arange(rows) * 7 % 10 // 4).astype(np.int32),  # 40 %, 40 %, 20 %
        "weights": draw.random(rows),
        "patient": texts(f"p{row // 5}" for row in range(rows)),
        "position": draw.normal(size=(rows, 2)).astype(np.float32),
    }


def ours(path: Path, rows: int = 200) -> dict[str, np.ndarray]:
    """Write them as a file of ours, and return them."""
    held = values(rows)
    dimensions = {"x": ("id", "row", "column", "channel"), "position": ("id", "axis")}
    units = {"weights": "kg", "position": "mm"}
    variables = {
        f"/data/{name}": Variable(
            dimensions.get(name, ("id",)), rows_of(array, rows, 0), f"the {name}", units.get(name, "1")
        )
        for name, array in held.items()
    }
    variables["/data/class_name"] = Variable(("class",), rows_of(texts(CLASSES), 3, 0), "name of the class")
    variables["/data/square"] = Variable(("one", "other"), np.ones((rows, rows), np.uint8), "as long, but no rows")
    variables["/data/scale"] = Variable((), np.array(0.5), "pixel size", "mm")
    variables["/provenance/scanner"] = Variable((), text("Größe 3"), "scanner")
    write_file(path, Contents("input", "tiles", variables))
    return held


def foreign(path: Path, rows: int = 60) -> dict[str, np.ndarray]:
    """Write some of them with h5py: big-endian, chunked, without ids, in a group beside others."""
    held = {name: array for name, array in values(rows).items() if name in ("x", "y", "patient")}
    with h5py.File(path, "w") as file:
        file.create_dataset("train/images", data=held["x"], chunks=(7, 5, 4, 3), compression="gzip")
        file["train/y"] = held["y"].astype(">i4")
        file["train/patient"] = held["patient"]
        file["train/mean"] = np.zeros(3)
        file["test/images"] = np.zeros((4, 5, 4, 3), np.uint8)
    return held


def read(path: Path) -> dict[str, np.ndarray]:
    """Every data set of `/data`."""
    with h5py.File(path) as file:
        return {name: item[()] for name, item in file["data"].items()}


def peak(action: Callable[[], Any]) -> int:
    """The most bytes that `action` held at once, as far as NumPy and Python asked for them."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
