"""What we refuse to follow or to believe in an HDF5 file: links, foreign storage, impossible sizes, code.

Plain h5py follows external links, external raw storage and virtual data sets, and accepts a small file that
declares terabytes; loaders that trusted it needed CVE-2026-1669 and its follow-ups.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hpcjobs.data.blocks import BlockFile
from hpcjobs.data.record import USER_BLOCK
from hpcjobs.errors import DataError, nearest

MOST_OBJECTS = 100_000
DEEPEST = 64
# A data set may declare this many bytes without having stored a thousandth of them.
FREE_DECLARATION = 2**32
KNOWN_FILTERS = {
    1: "gzip",
    2: "shuffle",
    3: "fletcher32",
    4: "szip",
    5: "nbit",
    6: "scaleoffset",
    32000: "lzf",
}


# What h5py raises when libhdf5 meets metadata it cannot make sense of.
H5PY_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError)


@contextlib.contextmanager
def parsing(path: Path) -> Iterator[None]:
    """Say plainly that metadata are damaged where h5py raises one of its many errors."""
    try:
        yield
    except H5PY_ERRORS as error:
        raise DataError(f"{path}: its HDF5 metadata are damaged ({error}); restore a copy") from None


def open_hdf5(raw: BlockFile, path: Path) -> h5py.File:
    """Open a file with h5py, saying plainly when it is no HDF5 file, or one of ours that lost its record."""
    try:
        file = h5py.File(raw, "r")
    except H5PY_ERRORS as error:
        raise DataError(
            f"{path}: not a readable HDF5 file ({error}); `hpcjobs data import` turns CSV, TSV, .npy and .npz into one"
        ) from None
    with parsing(path):
        lost = raw.record is None and file.userblock_size == USER_BLOCK and "hpcjobs_schema" in file.attrs
    if lost:
        file.close()
        raise DataError(f"{path}: the commit record in its user block is gone; restore the file from a copy")
    return file


def get(file: h5py.File, path: Path, name: str) -> Any:
    """The object at `name`, reached by hard links only."""
    item: Any = file
    walked = ""
    if not name.strip("/"):
        return item
    for part in name.strip("/").split("/"):
        if not isinstance(item, h5py.Group):
            raise DataError(f"{path}: {walked} is a data set, so there is nothing at {name}")
        link = item.get(part, getlink=True)
        if link is None:
            raise DataError(f"{path}: no {walked}/{part} in this file; {nearest(part, item.keys())}")
        refuse_link(link, path, f"{walked}/{part}")
        item = item[part]
        walked += f"/{part}"
    return item


def refuse_link(link: Any, path: Path, name: str) -> None:
    """Refuse any link that is not a plain name for an object of the same file."""
    if isinstance(link, h5py.ExternalLink):
        raise DataError(f"{path}: {name} is an external link to {link.filename}:{link.path}; name that file itself")
    if isinstance(link, h5py.SoftLink):
        raise DataError(f"{path}: {name} is a soft link to {link.path}; name that path itself")


def datasets(file: h5py.File, path: Path) -> Iterator[tuple[str, h5py.Dataset]]:
    """Every data set reached by hard links, in name order; links are passed over, monsters refused."""
    waiting: list[tuple[str, Any]] = [("", file)]
    seen = 0
    while waiting:
        name, item = waiting.pop()
        if isinstance(item, h5py.Dataset):
            yield name, item
        if not isinstance(item, h5py.Group):
            continue
        seen += len(item)
        if seen > MOST_OBJECTS or name.count("/") > DEEPEST:
            raise DataError(f"{path}: more than {MOST_OBJECTS} objects, or groups nested over {DEEPEST} deep")
        for part in sorted(item, reverse=True):
            if isinstance(item.get(part, getlink=True), h5py.HardLink):
                waiting.append((f"{name}/{part}", item[part]))


def check_dataset(dataset: h5py.Dataset, path: Path, name: str, size: int) -> None:
    """Refuse storage outside the file, unknown filters, objects, and sizes the file cannot hold."""
    where = f"{path}:{name}"
    if dataset.shape is None:
        raise DataError(f"{where}: holds nothing (a null data set)")
    properties = dataset.id.get_create_plist()
    if properties.get_external_count():
        raise DataError(f"{where}: its bytes lie in another file (external storage); copy them into one file")
    if dataset.is_virtual:
        sources = sorted({source.file_name for source in dataset.virtual_sources()})
        missing = [name for name in sources if name != "." and not (path.parent / name).exists()]
        detail = f"its source {missing[0]} is missing" if missing else f"it is made of {', '.join(sources[:3])}"
        raise DataError(f"{where}: a virtual data set ({detail}); copy it into one file first, e.g. with h5repack")
    for number in range(properties.get_nfilters()):
        code = properties.get_filter(number)[0]
        if code not in KNOWN_FILTERS:
            raise DataError(f"{where}: compressed with filter {code}, which needs a plugin; repack it, e.g. as gzip")
    if dataset.dtype.kind == "O" or dataset.dtype.hasobject:
        raise DataError(f"{where}: holds objects or variable-length data ({dataset.dtype}), not numbers")
    if 0 in dataset.shape:
        return
    declared = int(np.prod(dataset.shape, dtype=object)) * dataset.dtype.itemsize
    stored = dataset.id.get_storage_size()
    if declared > FREE_DECLARATION and declared > 1000 * min(stored, size):
        raise DataError(f"{where}: declares {declared} bytes where the file stores {stored}: refused as a shape bomb")
    if dataset.chunks is None and stored == 0:
        raise DataError(f"{where}: declared with shape {dataset.shape} but never written")
    offset = dataset.id.get_offset()
    if offset is not None and offset + declared > size:
        raise DataError(
            f"{where}: its bytes end at {offset + declared} where the file has {size}: truncated; "
            "restore the file from a copy"
        )
