"""What a file says about itself, and whether that is still true."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hpcjobs.data import safety
from hpcjobs.data.blocks import BlockFile
from hpcjobs.data.resultdigest import result_digest
from hpcjobs.errors import DataError

LONGEST_ATTRIBUTE = 2**16
ROOT_ATTRIBUTES = (
    "kind",
    "job",
    "title",
    "created",
    "run_uuid",
    "complete",
    "source",
    "source_digest",
    "result_digest",
)


def describe_file(path: Path) -> dict[str, Any]:
    """The story of an HDF5 file from its metadata alone, ready for JSON: fast whatever the size of the data.

    A data set that we would refuse to read is listed with its `problem`; links are not followed.
    """
    with BlockFile(path) as raw, safety.open_hdf5(raw, path) as file, safety.parsing(path):
        return {
            "file": str(path),
            "size": raw.size,
            "schema": attribute(file, "hpcjobs_schema"),
            **{name: attribute(file, name) for name in ROOT_ATTRIBUTES},
            "record": raw.record is not None,
            "file_digest": raw.record.root if raw.record else None,
            "datasets": [_dataset(*found, path, raw.size) for found in safety.datasets(file, path)],
        }


def verify_file(path: Path) -> dict[str, Any]:
    """Check every byte against the digests kept with it; DataError names the first damage.

    The files of other programs keep no digest: `record` is false and `message` says so.
    """
    with BlockFile(path) as raw:
        blocks = raw.verify_all()
        with safety.open_hdf5(raw, path) as file:
            report: dict[str, Any] = {
                "file": str(path),
                "size": raw.size,
                "record": raw.record is not None,
                "blocks": blocks,
                "file_digest": raw.record.root if raw.record else None,
                "result_digest": None,
            }
            if raw.record is None:
                message = "another program wrote this file, so it keeps no digest: nothing to verify"
                return {**report, "message": message}
            with safety.parsing(path):
                report["result_digest"] = _checked_result(file, path, raw.size)
    result = " and the result" if report["result_digest"] else ""
    return {**report, "message": f"whole: all {blocks} blocks{result} are as they were written"}


def _checked_result(file: h5py.File, path: Path, size: int) -> str | None:
    """The digest of `/result`, recomputed and found to be the one in the root attribute."""
    if file.get("result", getlink=True) is None:
        return None
    result = safety.get(file, path, "/result")
    if not isinstance(result, h5py.Group):
        raise DataError(f"{path}: /result is no group; it was changed after the run wrote it")
    for name, dataset in safety.datasets(result, path):
        safety.check_dataset(dataset, path, f"/result{name}", size)
    recorded = attribute(file, "result_digest")
    computed = result_digest(file)
    if recorded != computed:
        raise DataError(
            f"{path}: the digest of /result is {computed} where the file says {recorded}; "
            "it was changed after the run wrote it: restore it from a copy, or run the job again"
        )
    return computed


def attribute(item: h5py.File | h5py.Dataset, name: str) -> Any:
    """One attribute as text or number; None when it is missing or unlike any that we write."""
    if name not in item.attrs:
        return None
    if item.attrs.get_id(name).get_storage_size() > LONGEST_ATTRIBUTE:
        return None
    value = item.attrs[name]
    if isinstance(value, bytes):
        return value.decode(errors="replace").rstrip(" \0")
    if isinstance(value, str):
        return value
    if isinstance(value, np.generic | np.ndarray) and value.size == 1 and value.dtype.kind in "iufb":
        return value.item()
    return None


def _dataset(name: str, dataset: h5py.Dataset, path: Path, size: int) -> dict[str, Any]:
    described: dict[str, Any] = {
        "path": name,
        "shape": list(dataset.shape) if dataset.shape is not None else None,
        "dtype": str(dataset.dtype),
        "storage": _storage(dataset),
        "units": attribute(dataset, "units"),
        "long_name": attribute(dataset, "long_name"),
    }
    try:
        if dataset.shape is not None:
            safety.check_dataset(dataset, path, name, size)
    except DataError as problem:
        described["problem"] = str(problem)
    return described


def _storage(dataset: h5py.Dataset) -> str:
    """How the bytes lie: `contiguous`, or `chunks of (64, 8), gzip`."""
    properties = dataset.id.get_create_plist()
    if properties.get_external_count():
        return "external"
    layout = properties.get_layout()
    if layout != h5py.h5d.CHUNKED:
        names = {h5py.h5d.CONTIGUOUS: "contiguous", h5py.h5d.COMPACT: "compact", h5py.h5d.VIRTUAL: "virtual"}
        return names.get(layout, "unknown")
    codes = [properties.get_filter(number)[0] for number in range(properties.get_nfilters())]
    filters = [safety.KNOWN_FILTERS.get(code, f"filter {code}") for code in codes]
    return ", ".join([f"chunks of {dataset.chunks}", *filters])
