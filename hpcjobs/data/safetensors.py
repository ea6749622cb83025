"""The safetensors format: 8 bytes with the length of a JSON header, the header, then the arrays, little-endian.

https://github.com/huggingface/safetensors: names, types, shapes and byte offsets; texts under `__metadata__`. Nothing
in such a file is ever run.
"""

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.errors import DataError

TYPES = {"F32": "<f4", "F64": "<f8", "F16": "<f2"}
NAMES = {np.dtype(kind): name for name, kind in TYPES.items()}
LARGEST_HEADER = 10**8  # as the format has it
METADATA = "__metadata__"


def encode(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a file, the arrays in the order of their names."""
    header: dict[str, Any] = {METADATA: dict(metadata)} if metadata else {}
    parts, start = [], 0
    for name in sorted(arrays):
        values = np.ascontiguousarray(arrays[name], dtype=arrays[name].dtype.newbyteorder("<"))
        stop = start + values.nbytes
        header[name] = {"dtype": NAMES[values.dtype], "shape": list(arrays[name].shape), "data_offsets": [start, stop]}
        parts.append(values.tobytes())
        start = stop
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(parts)


def decode(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Arrays and metadata of a file; DataError for what is damaged."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or not 2 <= length <= min(LARGEST_HEADER, len(content) - 8):
        raise DataError(f"{path}: no safetensors file: a header of {length} bytes in {len(content)} bytes")
    try:
        header = json.loads(content[8 : 8 + length])
        metadata = {str(key): str(value) for key, value in header.pop(METADATA, {}).items()}
        return {name: _array(entry, content[8 + length :]) for name, entry in header.items()}, metadata
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}: a damaged safetensors file, or one of other types than {', '.join(TYPES)}: "
                        f"{type(error).__name__}: {error}") from None  # fmt: skip


def _array(entry: Mapping[str, Any], content: bytes) -> NDArray[Any]:
    kind, shape = np.dtype(TYPES[entry["dtype"]]), [int(length) for length in entry["shape"]]
    start, stop = (int(offset) for offset in entry["data_offsets"])
    if min([0, *shape]) < 0 or not 0 <= start <= stop <= len(content) or stop - start != prod(shape) * kind.itemsize:
        raise ValueError(f"an array of shape {shape} at bytes {start} to {stop} of {len(content)}")
    return np.frombuffer(content[start:stop], dtype=kind).reshape(shape)
