"""The number that must not change with ranks, restarts or machines: SHA-256 over `/result`."""

import hashlib
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

BYTES_AT_A_TIME = 2**24


def result_digest(file: h5py.File) -> str:
    """SHA-256 over the sorted (path, type, shape, little-endian bytes) of every data set below `/result`.

    No attributes and no times enter: two runs with the same answer have the same digest.
    """
    found: dict[str, h5py.Dataset] = {}

    def collect(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[f"/result/{name}"] = item

    file["result"].visititems(collect)
    digest = hashlib.sha256()
    for name in sorted(found):
        dataset = found[name]
        shape = ",".join(str(length) for length in dataset.shape)
        digest.update(f"{name}\0{dataset.dtype.newbyteorder('<').str}\0{shape}\0".encode())
        if dataset.shape == ():
            digest.update(little_endian(np.asarray(dataset[()])).tobytes())
            continue
        row_bytes = int(np.prod(dataset.shape[1:], dtype=object)) * dataset.dtype.itemsize
        step = max(1, BYTES_AT_A_TIME // max(1, row_bytes))
        for start in range(0, dataset.shape[0], step):
            digest.update(little_endian(dataset[start : start + step]).tobytes())
    return digest.hexdigest()


def little_endian(array: NDArray[Any]) -> NDArray[Any]:
    """Contiguous and in little-endian byte order."""
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
