"""A file before its rows: every data set in its place, named axes, small values, the disk space taken."""

import errno
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hpcjobs.data.record import USER_BLOCK
from hpcjobs.data.schema import CONVENTIONS, SCHEMA, Contents, Rows, Variable
from hpcjobs.data.sink import writable_hdf5

NO_DIGEST = "0" * 64


def lay_out(path: Path, contents: Contents) -> dict[str, int]:
    """Create every data set, write the small ones, and return the byte offsets of those that come in rows."""
    with writable_hdf5(
        path,
        "w",
        libver=("v110", "v110"),
        userblock_size=USER_BLOCK,
        alignment_threshold=2**16,
        alignment_interval=2**20,
        track_order=True,
    ) as file:
        for key, value in _root_attributes(contents).items():
            _set(file, key, value)
        created = {name: _create(file, name, variable) for name, variable in contents.variables.items()}
        _attach_scales(file, contents, created)
        file.flush()
        offsets = {
            name: created[name].id.get_offset()
            for name, variable in contents.variables.items()
            if isinstance(variable.values, Rows) and variable.values.total > 0
        }
    ends = (offset + _bytes(contents.variables[name]) for name, offset in offsets.items())
    _allocate(path, max(ends, default=path.stat().st_size))
    return offsets


def _root_attributes(contents: Contents) -> dict[str, Any]:
    attributes = {
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
    return attributes


def _set(item: h5py.File | h5py.Dataset, key: str, value: Any) -> None:
    """One attribute; text as fixed-length UTF-8, which every reader decodes."""
    if isinstance(value, str):
        content = value.encode(errors="replace") or b" "  # file names may hold bytes that are no text
        item.attrs.create(key, content, dtype=h5py.string_dtype("utf-8", len(content)))
    else:
        item.attrs[key] = value


def _create(file: h5py.File, name: str, variable: Variable) -> h5py.Dataset:
    folder, _, own = name.strip("/").rpartition("/")
    parent = file
    for part in folder.split("/") if folder else ():
        parent = parent[part] if part in parent else parent.create_group(part, track_order=True)
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.CONTIGUOUS)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    properties.set_obj_track_times(False)  # `created` tells the time, and nothing else in the file depends on it
    properties.set_attr_creation_order(h5py.h5p.CRT_ORDER_TRACKED | h5py.h5p.CRT_ORDER_INDEXED)
    dtype = variable.values.dtype
    stored = h5py.string_dtype("utf-8", dtype.itemsize) if dtype.kind == "S" else dtype.newbyteorder("<")
    kind = h5py.h5t.py_create(stored, logical=True)
    scalar = h5py.h5s.create(h5py.h5s.SCALAR)
    space = h5py.h5s.create_simple(variable.shape) if variable.dimensions else scalar
    dataset = h5py.Dataset(h5py.h5d.create(parent.id, own.encode(), kind, space, properties))
    _set(dataset, "units", variable.units)
    _set(dataset, "long_name", variable.long_name)
    if not isinstance(variable.values, Rows):
        # HDF5 converts no ASCII to UTF-8: the array must carry the stored type.
        dataset[...] = variable.values.astype(stored)
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


def _bytes(variable: Variable) -> int:
    return int(np.prod(variable.shape, dtype=np.int64)) * variable.values.dtype.itemsize


def _allocate(path: Path, size: int) -> None:
    """Take the disk space now, so that a full disk shows before hours of writing; not all systems can."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
    finally:
        os.close(descriptor)
