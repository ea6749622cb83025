"""Writing one HDF5 file from any number of ranks with the serial h5py wheel.

Rank 0 lays the data sets out and closes the file; every rank writes its rows at their byte offset; the ranks share
the digest pass; rank 0 adds the commit record; `publish` renames.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hpcjobs.data.publish import publish, write_at
from hpcjobs.data.record import BLOCK, USER_BLOCK, leaf, make_record
from hpcjobs.data.resultdigest import result_digest
from hpcjobs.data.schema import CONVENTIONS, SCHEMA, Contents, Rows, Variable
from hpcjobs.parallel.communicator import Communicator, SerialCommunicator, on_all, on_root
from hpcjobs.parallel.shards import piece

NO_DIGEST = "0" * 64


def write_file(
    path: Path,
    contents: Contents,
    communicator: Communicator | None = None,
    *,
    durable: bool = True,
    before_rename: Callable[[], None] = lambda: None,
) -> str:
    """Publish `contents` as one file and return its result digest ("" for a file without `/result`). Collective."""
    comm = communicator or SerialCommunicator()
    with publish(path, comm, durable=durable, before_rename=before_rename) as temporary:
        offsets = on_root(comm, lambda: _lay_out(temporary, contents))
        on_all(comm, lambda: _write_rows(temporary, contents, offsets))
        digest = on_root(comm, lambda: _add_result_digest(temporary))
        leaves = on_all(comm, lambda: _leaves(temporary, comm))
        gathered = b"".join(comm.allgather_object(leaves))
        on_root(comm, lambda: _commit(temporary, gathered))
    return digest


def _lay_out(path: Path, contents: Contents) -> dict[str, int]:
    """Create every data set, write the small ones, and return the byte offsets of those that come in rows."""
    with h5py.File(
        path,
        "w",
        libver=("v110", "v110"),
        userblock_size=USER_BLOCK,
        alignment_threshold=2**16,
        alignment_interval=2**20,
        track_order=True,
    ) as file:
        file.attrs.update(_root_attributes(contents))
        created: dict[str, h5py.Dataset] = {}
        for name, variable in contents.variables.items():
            created[name] = _create(file, name, variable)
        _attach_scales(file, contents, created)
        file.flush()
        offsets = {
            name: created[name].id.get_offset()
            for name, variable in contents.variables.items()
            if isinstance(variable.values, Rows) and variable.values.total > 0
        }
    size = max(
        (offsets[name] + _bytes(contents.variables[name]) for name in offsets), default=path.stat().st_size
    )
    _allocate(path, size)
    return offsets


def _bytes(variable: Variable) -> int:
    return int(np.prod(variable.shape, dtype=np.int64)) * variable.values.dtype.itemsize


def _root_attributes(contents: Contents) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "hpcjobs_schema": SCHEMA,
        "kind": contents.kind,
        "job": contents.job,
        "run_uuid": contents.run_uuid,
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "complete": np.uint8(contents.complete),
        "Conventions": CONVENTIONS,
        "title": contents.title,
        **contents.attributes,
    }
    if any(name.startswith("/result/") for name in contents.variables):
        attributes["result_digest"] = NO_DIGEST
    return {
        key: np.bytes_(value.encode() or b" ") if isinstance(value, str) else value
        for key, value in attributes.items()
    }


def _create(file: h5py.File, name: str, variable: Variable) -> h5py.Dataset:
    parent = file
    for part in name.strip("/").split("/")[:-1]:
        parent = parent[part] if part in parent else parent.create_group(part, track_order=True)
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.CONTIGUOUS)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    properties.set_attr_creation_order(h5py.h5p.CRT_ORDER_TRACKED | h5py.h5p.CRT_ORDER_INDEXED)
    dtype = variable.values.dtype
    stored = h5py.string_dtype("utf-8", dtype.itemsize) if dtype.kind == "S" else dtype.newbyteorder("<")
    space = h5py.h5s.create_simple(variable.shape) if variable.dimensions else h5py.h5s.create(h5py.h5s.SCALAR)
    low = h5py.h5d.create(
        parent.id, name.rsplit("/", 1)[1].encode(), h5py.h5t.py_create(stored, logical=True), space, properties
    )
    dataset = h5py.Dataset(low)
    dataset.attrs["units"] = np.bytes_(variable.units)
    dataset.attrs["long_name"] = np.bytes_(variable.long_name.encode())
    if not isinstance(variable.values, Rows):
        dataset[...] = variable.values
    return dataset


def _attach_scales(file: h5py.File, contents: Contents, created: dict[str, h5py.Dataset]) -> None:
    """Give every axis a dimension scale; axes without a coordinate of their own get 0, 1, 2, ..."""
    for name, variable in contents.variables.items():
        group = name.rsplit("/", 1)[0]
        for axis, dimension in enumerate(variable.dimensions):
            scale_name = f"{group}/{dimension}"
            if scale_name not in created:
                index = Variable((dimension,), np.arange(variable.shape[axis]), f"index of {dimension}")
                created[scale_name] = _create(file, scale_name, index)
            scale = created[scale_name]
            if not scale.is_scale:
                scale.make_scale(dimension)
            if scale_name != name:
                created[name].dims[axis].attach_scale(scale)


def _allocate(path: Path, size: int) -> None:
    """Take the disk space now, so that a full disk shows before hours of writing; not every file system can."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in _NO_FALLOCATE:
            raise
    finally:
        os.close(descriptor)


_NO_FALLOCATE = {22, 95}  # EINVAL, EOPNOTSUPP


def _write_rows(path: Path, contents: Contents, offsets: dict[str, int]) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        for name, offset in offsets.items():
            rows = contents.variables[name].values
            assert isinstance(rows, Rows)
            position = offset + rows.start * rows.dtype.itemsize * int(np.prod(rows.row_shape, dtype=np.int64))
            for block in rows.blocks():
                data = np.ascontiguousarray(block, dtype=rows.dtype.newbyteorder("<"))
                view = memoryview(data.reshape(-1).view(np.uint8))
                write_at(descriptor, position, view)
                position += len(view)
    finally:
        os.close(descriptor)


def _add_result_digest(path: Path) -> str:
    with h5py.File(path, "r+", track_order=True) as file:
        if "result_digest" not in file.attrs:
            return ""
        digest = result_digest(file)
        file.attrs.modify("result_digest", np.bytes_(digest))
    return digest


def _leaves(path: Path, comm: Communicator) -> bytes:
    """Digests of this rank's share of the blocks."""
    length = path.stat().st_size - USER_BLOCK
    share = piece(-(-length // BLOCK), comm.size, comm.rank)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    buffer = bytearray(BLOCK)
    try:
        found = []
        for index in range(share.start, share.stop):
            count = os.preadv(descriptor, [buffer], USER_BLOCK + index * BLOCK)
            assert count == min(BLOCK, length - index * BLOCK)
            found.append(leaf(memoryview(buffer)[:count]))
        return b"".join(found)
    finally:
        os.close(descriptor)


def _commit(path: Path, leaves: bytes) -> None:
    size = path.stat().st_size
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        write_at(descriptor, size, memoryview(leaves))
        write_at(descriptor, 0, memoryview(make_record(size - USER_BLOCK, leaves).encode()))
    finally:
        os.close(descriptor)
