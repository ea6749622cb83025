"""Hostile and odd HDF5 files are refused with the file, the object and what to do; nothing else is read."""

import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from hpcjobs.data.inspect import describe_file
from hpcjobs.data.safety import DEEPEST
from hpcjobs.data.source import locate
from hpcjobs.errors import DataError

Build = Callable[[h5py.File, Path], object]


def created(file: h5py.File, name: str, shape: tuple[int, ...], **properties: object) -> None:
    file.create_dataset(name, shape, "f8", **properties)


def secret(folder: Path) -> Path:
    """A file that a hostile one points at."""
    path = folder / "secret.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.full((3, 2), 42.0)
    return path


def external_link(file: h5py.File, folder: Path) -> None:
    file["x"] = h5py.ExternalLink(str(secret(folder)), "/x")


def external_link_on_the_way(file: h5py.File, folder: Path) -> None:
    file["group"] = h5py.ExternalLink(str(secret(folder)), "/")


def soft_link(file: h5py.File, folder: Path) -> None:
    file["real"] = np.zeros((3, 2))
    file["x"] = h5py.SoftLink("/real")


def external_storage(file: h5py.File, folder: Path) -> None:
    created(file, "x", (3, 2), external=[(str(secret(folder)), 0, 48)])


def virtual(file: h5py.File, folder: Path, source: str) -> None:
    layout = h5py.VirtualLayout((3, 2), "f8")
    layout[:] = h5py.VirtualSource(source, "x", shape=(3, 2))
    file.create_virtual_dataset("x", layout)


def unknown_filter(file: h5py.File, folder: Path) -> None:
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((3, 2))
    properties.set_filter(32123, h5py.h5z.FLAG_OPTIONAL, (1, 2))
    space = h5py.h5s.create_simple((3, 2))
    h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_DOUBLE, space, properties)


def references(file: h5py.File, folder: Path) -> None:
    file.create_dataset("x", (3, 2), h5py.ref_dtype)


def strings(file: h5py.File, folder: Path) -> None:
    file.create_dataset("x", (3, 2), h5py.string_dtype())[:] = "a"


REFUSED: dict[str, tuple[Build, str, str]] = {
    "external link": (external_link, "/x", "/x is an external link to .*secret.h5:/x; name that file itself"),
    "link on the way": (external_link_on_the_way, "/group/x", "/group is an external link"),
    "soft link": (soft_link, "/x", "/x is a soft link to /real; name that path itself"),
    "external storage": (external_storage, "/x", ":/x: its bytes lie in another file"),
    "virtual, source missing": (lambda f, d: virtual(f, d, "gone.h5"), "/x", "its source gone.h5 is missing"),
    "virtual, source there": (
        lambda f, d: virtual(f, d, secret(d).name),
        "/x",
        "a virtual data set .it is made of secret.h5.; copy it",
    ),
    "contiguous bomb": (
        lambda f, d: created(f, "x", (2**30, 2**10)),
        "/x",
        "declares 8796093022208 bytes where the file stores 0: refused as a shape bomb",
    ),
    "chunked bomb": (
        lambda f, d: created(f, "x", (2**40, 2), chunks=(1024, 2), compression="gzip"),
        "/x",
        "refused as a shape bomb",
    ),
    "never written": (lambda f, d: created(f, "x", (30, 2)), "/x", "with shape .30, 2. but never written"),
    "unknown filter": (unknown_filter, "/x", "compressed with filter 32123, which needs a plugin; repack it"),
    "text of any length": (strings, "/x", "holds objects or variable-length data .object., not numbers"),
    "references": (references, "/x", "holds objects or variable-length data"),
    "fixed text": (
        lambda f, d: f.create_dataset("x", data=np.full((3, 2), b"abc")),
        "/x",
        "holds .S3, not numbers; expected float32",
    ),
    "compound": (lambda f, d: f.create_dataset("x", data=np.zeros((3, 2), "f4,i4")), "/x", "not numbers"),
    "complex": (
        lambda f, d: f.create_dataset("x", data=np.ones((3, 2), "c16")),
        "/x",
        "complex128, not numbers",
    ),
    "truth values": (
        lambda f, d: f.create_dataset("x", data=np.ones((3, 2), "?")),
        "/x",
        "bool, not numbers",
    ),
    "null": (
        lambda f, d: f.create_dataset("x", data=h5py.Empty("f8")),
        "/x",
        "holds nothing .a null data set",
    ),
    "group": (lambda f, d: f.create_group("x/y"), "/x", r"/x is a group \(it holds /x/y\); name a data set"),
    "root": (lambda f, d: f.create_group("y"), "/", r"/ is a group \(it holds /y\)"),
    "below a data set": (
        lambda f, d: created(f, "y", (3, 2)),
        "/y/z",
        "/y is a data set, so there is nothing",
    ),
    "wrong name": (
        lambda f, d: created(f, "points", (3, 2)),
        "/point",
        "no /point in this file; did you mean",
    ),
    "one axis": (
        lambda f, d: f.create_dataset("x", data=np.ones(5)),
        "/x",
        r"has 1 axes \(5,\) where 2 are needed \(rows x features\); reshape it",
    ),
    "three axes": (lambda f, d: f.create_dataset("x", data=np.ones((5, 2, 2))), "/x", "has 3 axes"),
    "no rows": (lambda f, d: created(f, "x", (0, 2)), "/x", r"is empty, shape \(0, 2\)"),
    "no columns": (lambda f, d: created(f, "x", (2, 0)), "/x", r"is empty, shape \(2, 0\)"),
    "a named type": (lambda f, d: f.__setitem__("x", np.dtype("f8")), "/x", "/x is a type, no data set"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_by_name_before_any_byte_of_data_is_read(tmp_path: Path, case: str) -> None:
    build, name, message = REFUSED[case]
    path = tmp_path / "bad.h5"
    with h5py.File(path, "w") as file:
        build(file, tmp_path)
    began = time.monotonic()
    with pytest.raises(DataError, match=message) as refused:
        locate(f"{path}:{name}", 2)
    assert str(refused.value).startswith(str(path))
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("case", REFUSED)
def test_inspect_describes_it_without_following_or_reading(tmp_path: Path, case: str) -> None:
    build, name, _ = REFUSED[case]
    path = tmp_path / "bad.h5"
    with h5py.File(path, "w") as file:
        build(file, tmp_path)
    described = {entry["path"]: entry for entry in describe_file(path)["datasets"]}
    assert "42" not in str(described).replace(str(tmp_path), "")  # pytest's folders have numbers in their names
    if "link" in case:
        assert name not in described
    if case in (
        "external storage",
        "contiguous bomb",
        "unknown filter",
        "virtual, source missing",
        "references",
    ):
        assert described["/x"]["problem"].startswith(f"{path}:/x")


def test_groups_nested_without_end_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.h5"
    with h5py.File(path, "w") as file:
        file.create_group("/".join("g" * (DEEPEST + 5)))
        file["x"] = np.ones((3, 2))
    with pytest.raises(DataError, match="groups nested over 64 deep"):
        locate(str(path), 2)
    assert locate(f"{path}:/x", 2).shape == (3, 2)


def test_groups_that_hold_themselves_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "cycle.h5"
    with h5py.File(path, "w") as file:
        for name in "ab":
            file[name] = file["/"]
    for use in (lambda: locate(str(path), 2), lambda: describe_file(path)):
        with pytest.raises(DataError, match="nested over 64 deep"):
            use()
