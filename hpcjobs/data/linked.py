"""HDF5 data that lie elsewhere: soft and external links, virtual data sets, external storage (`--follow-links`).

Every file on the way is found before a byte is read, digested, and compared again at the end. libhdf5 would fill
what is missing with zeros; here a missing source, or a part of one, is an error.
"""

import hashlib
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hpcjobs.data import safety
from hpcjobs.data.blocks import BlockFile
from hpcjobs.data.source import default_name, locate_at, source_blocks
from hpcjobs.data.table import BLOCK_BYTES, Blocks
from hpcjobs.errors import DataError
from hpcjobs.parallel.shards import Span

MOST_LINKS = 32
UNLIMITED = 2**64 - 1


@dataclass(frozen=True)
class Followed:
    """A data set at the end of its links, and every file that holds a part of the way or of the data."""

    file: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    blocks: Blocks
    files: tuple[Path, ...]

    def __str__(self) -> str:
        return f"{self.file}:{self.name}"

    def digests(self) -> tuple[tuple[str, str], ...]:
        """Name and SHA-256 of each file, the first being the one that was named."""
        found = []
        for path in self.files:
            with path.open("rb") as file:
                found.append((str(path), hashlib.file_digest(file, "sha256").hexdigest()))
        return tuple(found)

    def identities(self) -> NDArray[Any] | None:
        """The ids (rows,) beside the data set, reached by hard links."""
        beside = self.name.rsplit("/", 1)[0] + "/id"
        with BlockFile(self.file) as raw, safety.open_hdf5(raw, self.file) as file, safety.parsing(self.file):
            group = safety.get(file, self.file, beside.rsplit("/", 1)[0])
            if not isinstance(group.get("id", getlink=True), h5py.HardLink):
                return None
            dataset = group["id"]
            if not (
                isinstance(dataset, h5py.Dataset) and dataset.shape == self.shape[:1] and dataset.dtype.kind in "iuS"
            ):
                return None
            safety.check_dataset(dataset, self.file, beside, raw.size)
            found: NDArray[Any] = dataset[()]
            return found


def follow(path: Path, name: str | None) -> Followed:
    """The data set (rows, features) that `path:name` leads to."""
    files = [path.absolute()]
    if name is None:
        with BlockFile(path) as raw, safety.open_hdf5(raw, path) as opened, safety.parsing(path):
            name = default_name(opened, path, range(2, 3))
    file, name = _end_of_links(path.absolute(), name, files)
    with BlockFile(file) as raw, safety.open_hdf5(raw, file) as opened, safety.parsing(file):
        dataset = safety.get(opened, file, name)
        if not isinstance(dataset, h5py.Dataset):
            raise DataError(f"{file}: {name} is no data set; name one")
        external = dataset.id.get_create_plist().get_external_count()
        if not external and not dataset.is_virtual:
            found = locate_at(file, name, range(2, 3))
            return Followed(file, name, found.shape, found.dtype, partial(source_blocks, found), tuple(files))
        if dataset.dtype.kind not in "fiu" or dataset.ndim != 2 or 0 in dataset.shape:
            raise DataError(
                f"{file}:{name}: is {dataset.dtype} of shape {dataset.shape}; expected numbers, rows x features"
            )
        shape, dtype = tuple(dataset.shape), dataset.dtype
        if external:
            blocks: Blocks = partial(_external_blocks, _segments(dataset, file, name, files), shape, dtype)
    if not external:
        _check_virtual(file, name, files)
        blocks = partial(_virtual_blocks, file, name)
    return Followed(file, name, shape, dtype.newbyteorder("="), blocks, tuple(files))


def _end_of_links(path: Path, name: str, files: list[Path]) -> tuple[Path, str]:
    """Walk along soft and external links; every file passed through is added to `files`."""
    parts = [part for part in name.split("/") if part]
    walked: list[str] = []
    for _ in range(MOST_LINKS):
        with BlockFile(path) as raw, safety.open_hdf5(raw, path) as file, safety.parsing(path):
            item: Any = file
            walked = []
            link: Any = None
            while parts:
                part, *parts = parts
                link = item.get(part, getlink=True) if isinstance(item, h5py.Group) else None
                if link is None:
                    raise DataError(f"{path}: no /{'/'.join([*walked, part])} in this file")
                if not isinstance(link, h5py.HardLink):
                    break
                walked.append(part)
                item = item[part]
            else:
                return path, "/" + "/".join(walked)
        further = [part for part in link.path.split("/") if part not in ("", ".")]
        if isinstance(link, h5py.ExternalLink):
            path = _target(path, link.filename, f"the external link /{'/'.join([*walked, part])}", files)
        elif not link.path.startswith("/"):
            further = walked + further
        parts = further + parts
    raise DataError(f"{files[0]}: {name}: more than {MOST_LINKS} links on the way; do they go round in a circle?")


def _target(path: Path, named: str, what: str, files: list[Path]) -> Path:
    """The file that a file at `path` names: absolute, or relative to its folder."""
    found = path.parent / named
    if not found.is_file():
        raise DataError(f"{path}: {what} leads to {named}, and there is no such file ({found}); put it there")
    if found not in files:
        files.append(found)
    return found


def _check_virtual(path: Path, name: str, files: list[Path], depth: int = 0) -> None:
    """Refuse a virtual data set unless every value of it has one source that is there."""
    where = f"{path}:{name}"
    if os.environ.get("HDF5_VDS_PREFIX"):
        raise DataError(f"{where}: HDF5_VDS_PREFIX is set, which sends libhdf5 elsewhere for its sources; unset it")
    if depth > MOST_LINKS:
        raise DataError(f"{where}: virtual data sets of virtual data sets over {MOST_LINKS} deep")
    with BlockFile(path) as raw, safety.open_hdf5(raw, path) as file, safety.parsing(path):
        dataset = safety.get(file, path, name)
        maps = dataset.virtual_sources()
        counts = _refuse_holes(where, dataset.shape, [entry.vspace for entry in maps])
    for entry, count in zip(maps, counts, strict=True):
        if "%" in entry.file_name + entry.dset_name:
            raise DataError(f"{where}: its sources are named by a pattern ({entry.file_name}); copy it into one file")
        source = path if entry.file_name == "." else _target(path, entry.file_name, f"the virtual {name}", files)
        _check_part(where, source, entry, count, files, depth)


def _check_part(where: str, source: Path, entry: Any, wanted: int, files: list[Path], depth: int) -> None:
    """Refuse a source that holds less than the `wanted` values that the virtual data set takes from it."""
    end, inner = _end_of_links(source, entry.dset_name, files)
    with BlockFile(end) as raw, safety.open_hdf5(raw, end) as file, safety.parsing(end):
        dataset = safety.get(file, end, inner)
        if not isinstance(dataset, h5py.Dataset):
            raise DataError(f"{where}: its source {end}:{inner} is no data set")
        if entry.src_space.get_select_type() == h5py.h5s.SEL_ALL:
            fits = dataset.size == wanted
        else:
            last = entry.src_space.get_select_bounds()[1]
            fits = len(last) == dataset.ndim and all(at < has for at, has in zip(last, dataset.shape, strict=True))
        if not fits:
            raise DataError(
                f"{where}: takes {wanted} values from {end}:{inner}, of shape {dataset.shape}: "
                "a part of the source is missing; make it whole"
            )
        virtual = dataset.is_virtual
        if not virtual:
            safety.check_dataset(dataset, end, inner, raw.size)
    if virtual:
        _check_virtual(end, inner, files, depth + 1)


def _refuse_holes(where: str, shape: tuple[int, ...], spaces: list[Any]) -> list[int]:
    """Refuse values with no source or two; how many values each source gives.

    The selections are products of positions along each axis: they must be disjoint, and as many as there are values.
    """
    picked = []
    for space in spaces:
        if space.get_select_type() == h5py.h5s.SEL_ALL:
            picked.append([np.arange(length) for length in shape])
            continue
        if not space.is_regular_hyperslab():
            raise DataError(f"{where}: takes irregular parts of its sources; copy it into one file")
        axes = zip(*space.get_regular_hyperslab(), strict=True)
        picked.append(
            [
                (start + stride * np.arange(count)[:, None] + np.arange(block)).ravel()
                for start, stride, count, block in axes
            ]
        )
    for first, second in combinations(picked, 2):
        apart = any(
            a[-1] < b[0] or b[-1] < a[0] or not len(np.intersect1d(a, b)) for a, b in zip(first, second, strict=True)
        )
        if not apart:
            raise DataError(f"{where}: takes some values from two sources; copy it into one file")
    counts = [math.prod(len(axis) for axis in one) for one in picked]
    if missing := math.prod(shape) - sum(counts):
        raise DataError(f"{where}: {missing} of its values have no source and would be made up; map them all")
    return counts


def _virtual_blocks(path: Path, name: str, span: Span) -> Iterator[NDArray[Any]]:
    """The rows of a span of a checked virtual data set, which libhdf5 gathers from its sources."""
    with safety.parsing(path), h5py.File(path, "r", locking=False) as file:
        dataset = file[name]
        step = max(1, BLOCK_BYTES // (dataset.shape[1] * dataset.dtype.itemsize))
        for first in range(span.start, span.stop, step):
            block = dataset[first : min(first + step, span.stop)]
            yield block.astype(block.dtype.newbyteorder("="), copy=False)


def _segments(dataset: h5py.Dataset, path: Path, name: str, files: list[Path]) -> list[tuple[Path, int, int]]:
    """File, offset and length of the pieces of an external storage, which must hold all of the values."""
    where = f"{path}:{name}"
    here = h5py.h5t.py_create(dataset.dtype, logical=True)
    if not dataset.id.get_type().equal(here):
        raise DataError(f"{where}: its external storage is of a type that libhdf5 must convert; copy it into one file")
    needed = int(np.prod(dataset.shape, dtype=object)) * dataset.dtype.itemsize
    found = []
    properties = dataset.id.get_create_plist()
    for number in range(properties.get_external_count()):
        named, offset, size = properties.get_external(number)
        source = _target(path, os.fsdecode(named), f"the external storage of {name}", files)
        length = min(needed, int(size)) if size not in (0, UNLIMITED) else needed
        if offset + length > source.stat().st_size:
            raise DataError(
                f"{where}: its bytes in {source} end at {offset + length}, where the file has {source.stat().st_size}; "
                "make it whole"
            )
        found.append((source, int(offset), length))
        needed -= length
    if needed:
        raise DataError(f"{where}: {needed} bytes of it lie in no file; make its external storage whole")
    return found


def _external_blocks(
    segments: list[tuple[Path, int, int]], shape: tuple[int, ...], dtype: np.dtype[Any], span: Span
) -> Iterator[NDArray[Any]]:
    """The rows of a span, gathered from the pieces that they lie in one after another."""
    row_bytes = shape[1] * dtype.itemsize
    step = max(1, BLOCK_BYTES // row_bytes)
    for first in range(span.start, span.stop, step):
        last = min(first + step, span.stop)
        content, begin = b"", 0
        for path, offset, length in segments:
            low, high = max(first * row_bytes, begin), min(last * row_bytes, begin + length)
            if low < high:
                with path.open("rb") as file:
                    file.seek(offset + low - begin)
                    content += file.read(high - low)
            begin += length
        if len(content) < (last - first) * row_bytes:
            raise DataError(f"{segments[0][0]}: changed while it was read; import it again")
        block = np.frombuffer(content, dtype).reshape(last - first, shape[1])
        yield block.astype(dtype.newbyteorder("="), copy=False)
