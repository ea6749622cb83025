"""What every importer hands over: a table of rows, its identities and its target, ready to be written."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.errors import DataError, SettingsError
from hpcjobs.parallel.shards import Span

Progress = Callable[[int, int], None]
Blocks = Callable[[Span], Iterable[NDArray[Any]]]  # the rows of a span, block by block

DTYPES = ("float32", "float64", "uint8", "uint16")
CHANNELS = {"grey": 1, "rgb": 3, "rgba": 4}
BLOCK_BYTES = 2**24


@dataclass(frozen=True)
class ImportOptions:
    """How to read a source. Columns are named by header name or by 0-based number."""

    header: bool | None = None  # None: look at the first two rows
    delimiter: str | None = None  # None: by the name of the file
    columns: tuple[str, ...] = ()  # the features; none named: all that are neither id nor target
    id_column: str | None = None
    target_column: str | None = None
    drop: tuple[str, ...] = ()  # columns that are left out
    dtype: str | None = None  # float32 | float64 | uint8 | uint16
    bad_rows: str = "refuse"  # refuse | skip
    size: str | None = None  # HxW: images are brought to this size
    channels: str | None = None  # grey | rgb | rgba; None: as the images are
    labels: str | None = None  # IDX file with the target of an IDX file
    follow_links: bool = False  # HDF5: read what links, virtual and external data sets point at
    pseudonymise: str | None = None  # the id column, replaced by a keyed digest
    key: str | None = None  # file that holds the key
    force: bool = False

    def check(self) -> None:
        """Refuse values that fit no source."""
        if self.dtype not in (None, *DTYPES):
            raise SettingsError(f"--dtype {self.dtype}: expected one of {', '.join(DTYPES)}")
        if self.bad_rows not in ("refuse", "skip"):
            raise SettingsError(f"--bad-rows {self.bad_rows}: expected refuse or skip")
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise SettingsError(f"--delimiter {self.delimiter!r}: expected one character other than a quote")
        if self.channels not in (None, *CHANNELS):
            raise SettingsError(f"--channels {self.channels}: expected one of {', '.join(CHANNELS)}")
        if (self.pseudonymise is None) != (self.key is None):
            raise SettingsError("--pseudonymise COLUMN and --key FILE belong together: give both or none")
        self.height_width()

    def height_width(self) -> tuple[int, int] | None:
        """What `--size HxW` says."""
        if self.size is None:
            return None
        sides = self.size.lower().split("x")
        if len(sides) != 2 or not all(side.isascii() and side.isdigit() and 0 < int(side) <= 2**16 for side in sides):
            raise SettingsError(f"--size {self.size}: expected HEIGHTxWIDTH in pixels, such as 64x64")
        return int(sides[0]), int(sides[1])


@dataclass(frozen=True)
class Target:
    """One value a row to compare with; `class_names` is empty unless the values are class numbers."""

    kind: str  # integer | number | class
    dtype: np.dtype[Any]
    blocks: Blocks
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A source that has been looked through: `blocks` gives x (rows, *row_shape) in `dtype`, block by block."""

    rows: int
    row_shape: tuple[int, ...]
    dtype: np.dtype[Any]
    blocks: Blocks
    alone: bool = False  # read by rank 0 from end to end; else each rank reads its own rows
    identities: NDArray[Any] | None = None  # (rows,) integers or fixed-length text; None: 0, 1, 2, ...
    identity_kind: str = "row number"  # row number | integer | text
    target: Target | None = None
    feature_names: tuple[str, ...] = ()
    skipped: int = 0
    passed_over: int = 0  # files that are no images
    followed: tuple[tuple[str, str], ...] = ()  # name and SHA-256 of the files that links led to


def natural(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type of features that numbers of `dtype` become unless another one is asked for."""
    if dtype.kind == "b":
        return np.dtype("uint8")
    if dtype.name == "float16":
        return np.dtype("float32")
    return np.dtype(dtype.name) if dtype.name in ("float32", "float64", "uint8") else np.dtype("float64")


def representable(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[np.bool_]:
    """Which `values` keep their meaning as `dtype`: integers exactly, floats within its range (and rounded).

    >>> representable(np.array([2**53, 2**53 + 1]), np.dtype("float64"))
    array([ True, False])
    """
    if dtype.kind == "u":
        return np.asarray((values >= 0) & (values <= np.iinfo(dtype).max) & (values == np.floor(values)))
    if values.dtype.kind == "f":
        return np.asarray(~(np.abs(values) > np.finfo(dtype).max) | np.isinf(values))
    converted = values.astype(dtype)
    # 2**63 (2**64 unsigned) is a float but no integer of the type, so the way back must not meet it.
    within = converted < 2.0 ** (8 * values.dtype.itemsize - (values.dtype.kind == "i"))
    return np.asarray(within & (np.where(within, converted, 0).astype(values.dtype) == values))


def check_unique(identities: NDArray[Any], describe: Callable[[int, int], str], secret: bool = False) -> None:
    """Refuse an identity (rows,) that stands twice; `describe` says where its two rows are, `secret` hides it."""
    order = np.argsort(identities, kind="stable")
    ordered = identities[order]
    twice = np.flatnonzero(ordered[1:] == ordered[:-1])
    if len(twice) == 0:
        return
    value = ordered[twice[0]]
    shown = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    the_id = "an id" if secret else f"the id {shown!r}"
    raise DataError(
        f"{describe(int(order[twice[0]]), int(order[twice[0] + 1]))}: {the_id} stands twice "
        f"({len(twice)} repeats in all); ids must be unique: mend them, name another --id, or leave --id out"
    )


def refuse_existing(out: Path, force: bool) -> None:
    """Say before any work that `out` exists already or has no folder to lie in."""
    if out.is_dir():
        raise SettingsError(f"{out}: is a folder; name the file to write")
    if out.exists() and not force:
        raise SettingsError(f"{out}: exists already; name another file, or replace it with --force")
    if not out.parent.is_dir():
        raise SettingsError(f"{out}: there is no folder {out.parent.absolute()}; make it first")
