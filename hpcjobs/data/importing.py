"""Import: any table of numbers that we know becomes one file of ours, checked while it is read."""

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data import arrays, delimited
from hpcjobs.data.blocks import BlockFile
from hpcjobs.data.examples import resolve
from hpcjobs.data.schema import Contents, Rows, Variable, rows_of, texts
from hpcjobs.data.source import split_name
from hpcjobs.data.table import Blocks, ImportOptions, Progress, Table, refuse_existing
from hpcjobs.data.texttable import open_text
from hpcjobs.data.writing import write_file
from hpcjobs.errors import DataError, SettingsError

__all__ = ["ImportOptions", "ImportReport", "import_table"]

IDS_AT_A_TIME = 2**20


@dataclass(frozen=True)
class ImportReport:
    """What an import made: enough for one line to the user."""

    out: Path
    rows: int
    columns: int
    dtype: str
    skipped: int  # bad rows left out
    identities: str  # row number | integer | text
    target: str  # none | integer | number | class
    classes: int
    digest: str  # root of the file digest

    def __str__(self) -> str:
        shape = f"{self.rows} rows x {self.columns} columns of {self.dtype}"
        parts = [f"{self.out}: {shape}", f"id: {self.identities}"]
        if self.target != "none":
            parts.append(f"target: {self.target}" + f" ({self.classes} classes)" * (self.target == "class"))
        if self.skipped:
            parts.append(f"{self.skipped} bad rows skipped")
        return ", ".join(parts)


def import_table(
    source: str,
    out: Path,
    options: ImportOptions | None = None,
    progress: Progress = lambda done, total: None,
) -> ImportReport:
    """Write the table that `source` names as `/data/x` (rows, features) of the new file `out`.

    `progress` hears (done, total) in bytes of a text source or rows of an array.
    """
    options = options or ImportOptions()
    options.check()
    source = resolve(source)
    path, kind = _recognise(source)
    before = _state(path)
    if out.exists() and out.samefile(path):
        raise SettingsError(f"{out}: is the source itself; name another file to write")
    refuse_existing(out, options.force)
    if kind == "text":
        table = open_text(path, options, progress)
    else:
        table = arrays.open_array(source, path, options, progress)
    title = f"{path.name}: {table.rows} rows x {table.columns} features"
    contents = Contents("input", title, _variables(table, path), attributes={"source": path.name})
    write_file(out, contents, before_rename=lambda: _refuse_change(path, before))
    with BlockFile(out) as written:
        digest = written.record.root if written.record else ""
    return ImportReport(
        out,
        table.rows,
        table.columns,
        str(table.dtype),
        table.skipped,
        table.identity_kind,
        table.target.kind if table.target else "none",
        len(table.target.class_names) if table.target else 0,
        digest,
    )


def _recognise(source: str) -> tuple[Path, str]:
    """The file that `source` names and whether it holds text or an array, by its ending."""
    path, name = split_name(source)
    try:
        mode = path.stat().st_mode
        with path.open("rb"):
            pass
    except FileNotFoundError:
        raise DataError(f"{path}: no such file (looked in {path.parent.absolute()})") from None
    except IsADirectoryError:
        raise DataError(f"{path}: this is a folder; name a file in it") from None
    except PermissionError:
        raise DataError(f"{path}: no permission to read it; ask its owner, or run `chmod u+r`") from None
    if not stat.S_ISREG(mode):
        raise DataError(f"{path}: not a plain file; it is read more than once, so save it to a file first")
    text = path.name.lower().removesuffix(".gz").endswith(delimited.SUFFIXES)
    if name is not None and (text or path.suffix.lower() == ".npy"):
        raise DataError(f"{path}: holds one table without a name; leave `:{name}` out")
    if text:
        return path, "text"
    if path.suffix.lower() in arrays.SUFFIXES:
        return path, "array"
    known = ", ".join((*delimited.SUFFIXES, *arrays.SUFFIXES))
    raise DataError(f"{path}: unknown kind of file {path.suffix!r}; known: {known}; .gz of the first three")


def _state(path: Path) -> tuple[int, int]:
    """What differs once another program has written the file: size and time."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _refuse_change(path: Path, before: tuple[int, int]) -> None:
    if _state(path) != before:
        raise DataError(f"{path}: changed while it was read; import it again when nobody writes it")


def _variables(table: Table, path: Path) -> dict[str, Variable]:
    def rows(dtype: np.dtype[Any], shape: tuple[int, ...], blocks: Blocks) -> Rows:
        return Rows(table.rows, 0, dtype, shape, partial(_exactly, table.rows, blocks, path))

    variables = {
        "/data/x": Variable(("id", "feature"), rows(table.dtype, (table.columns,), table.blocks), "features"),
    }
    if table.identities is None:
        numbers = rows(np.dtype(np.int64), (), lambda: _row_numbers(table.rows))
        variables["/data/id"] = Variable(("id",), numbers, "row of the source, counted from 0")
    else:
        held = rows_of(table.identities, table.rows, 0)
        meaning = "row of the source, counted from 0" if table.identity_kind == "row number" else "identity of the row"
        variables["/data/id"] = Variable(("id",), held, meaning)
    if table.target:
        values = rows(table.target.dtype, (), table.target.blocks)
        meaning = "class number, -1 where unknown" if table.target.kind == "class" else "target"
        variables["/data/y"] = Variable(("id",), values, meaning)
        if table.target.class_names:
            variables["/data/class_name"] = _names("class", table.target.class_names)
    if table.feature_names:
        variables["/data/feature_name"] = _names("feature", table.feature_names)
    return variables


def _names(dimension: str, names: tuple[str, ...]) -> Variable:
    return Variable((dimension,), rows_of(texts(names), len(names), 0), f"name of the {dimension}")


def _row_numbers(rows: int) -> Iterator[NDArray[np.int64]]:
    for first in range(0, rows, IDS_AT_A_TIME):
        yield np.arange(first, min(rows, first + IDS_AT_A_TIME), dtype=np.int64)


def _exactly(rows: int, blocks: Blocks, path: Path) -> Iterator[NDArray[Any]]:
    """Pass the blocks on, never more rows than were counted: another program may write the file meanwhile."""
    done = 0
    for block in blocks():
        done += len(block)
        if done > rows:
            break
        yield block
    if done != rows:
        raise DataError(f"{path}: changed while it was read ({rows} rows, then {done}); import it again")
