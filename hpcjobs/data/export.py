"""The per-sample part of a result as a table: CSV, TSV or Parquet, the id first."""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data import extras
from hpcjobs.data.inspect import describe_file
from hpcjobs.data.lookup import locate_samples
from hpcjobs.data.publish import publish
from hpcjobs.data.samples import Column, Samples, reading
from hpcjobs.data.table import BLOCK_BYTES, Progress, refuse_existing
from hpcjobs.errors import DataError, SettingsError, nearest

# Where the files of a run say what they say of each sample, by their kind.
GROUPS = {"result": "/result", "prediction": "/prediction"}
MOST_ROWS = 2**16  # as Python's numbers and texts they take many times their bytes

Fields = dict[str, np.dtype[Any]]  # heading and type of each column of the table
Blocks = Iterator[list[NDArray[Any]]]  # a few rows of each column


@dataclass(frozen=True)
class ExportReport:
    """What an export made."""

    out: Path
    rows: int
    headings: tuple[str, ...]
    left_out: tuple[str, ...]  # data sets of more axes than a table has

    def __str__(self) -> str:
        some = ", ".join(self.headings[:8]) + (f" and {len(self.headings) - 8} more" if len(self.headings) > 8 else "")
        out = f"; left out, as they have more axes than a table: {', '.join(self.left_out)}" if self.left_out else ""
        return f"{self.out}: {self.rows} rows of {some}{out}"


def export(
    result: Path,
    out: Path,
    names: Sequence[str] = (),
    *,
    force: bool = False,
    progress: Progress = lambda done, total: None,
) -> ExportReport:
    """Write what a result or a prediction says of each sample, a value or a row of values; `names` picks some.

    `progress` hears (rows written, rows).
    """
    write = _writer(out)
    refuse_existing(out, force)
    samples, group = _samples(result)
    chosen = _chosen(samples, group, names)
    tables = {name: column for name, column in chosen.items() if len(column.shape) <= 2}
    left_out = tuple(name for name in chosen if name not in tables)
    if names and left_out:
        raise DataError(
            f"--dataset {left_out[0]}: has {len(chosen[left_out[0]].shape)} axes, more than a table; "
            "leave it out, and read it with h5py"
        )
    fields: Fields = {}
    for name, column in tables.items():
        for heading in _headings(name, column):
            if heading in fields:
                raise DataError(f"{result}: two columns would be called {heading}; pick one of them with --dataset")
            fields[heading] = column.dtype
    with publish(out) as temporary:
        write(temporary, fields, _blocks(samples.rows, tables, progress))
    return ExportReport(out, samples.rows, tuple(fields), left_out)


def _writer(out: Path) -> Callable[[Path, Fields, Blocks], None]:
    """What writes a file of that name."""
    suffix = out.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return partial(_write_text, "," if suffix == ".csv" else "\t")
    if suffix == ".parquet":
        extras.load("pyarrow.parquet", "parquet", "Parquet")
        return _write_parquet
    raise SettingsError(f"{out}: unknown kind of table {suffix!r}; expected .csv, .tsv or .parquet")


def _samples(result: Path) -> tuple[Samples, str]:
    """What a file says of its samples, and in which group."""
    told = describe_file(result)
    group = GROUPS.get(told["kind"] or "") if told["schema"] else None
    if group is None:
        raise DataError(f"{result}: not the result of a run; `hpcjobs data inspect {result}` tells what it holds")
    if all(found["path"] != f"{group}/id" for found in told["datasets"]):
        raise DataError(
            f"{result}: the result of a {told['job']} job says nothing of single samples: no table to export"
        )
    return locate_samples(str(result), group), group


def _chosen(samples: Samples, group: str, names: Sequence[str]) -> dict[str, Column]:
    """The columns to write, the id first, then as named, else all by name."""
    wanted = [name.removeprefix(f"{group}/") for name in names] or [*samples.columns]
    for name in wanted:
        if name not in samples.columns:
            hint = nearest(name, samples.columns)
            raise SettingsError(f"--dataset {name}: {samples.file} has no {group}/{name} of an entry a sample; {hint}")
    return {name: samples.columns[name] for name in ("id", *wanted)}


def _headings(name: str, column: Column) -> list[str]:
    return [name] if len(column.shape) == 1 else [f"{name}_{index}" for index in range(column.shape[1])]


def _blocks(rows: int, columns: dict[str, Column], progress: Progress) -> Blocks:
    """The columns of the table, some rows at a time."""
    step = max(1, min(MOST_ROWS, BLOCK_BYTES // sum(column.row_bytes for column in columns.values())))
    with ExitStack() as stack:
        reads = {name: stack.enter_context(reading(column)) for name, column in columns.items()}
        for start in range(0, rows, step):
            found: list[NDArray[Any]] = []
            for name, column in columns.items():
                block = np.empty((min(step, rows - start), *column.shape[1:]), dtype=column.dtype)
                reads[name](start, block)
                found += [block] if block.ndim == 1 else list(block.T)
            yield found
            progress(start + len(found[0]), rows)


def _write_text(delimiter: str, path: Path, fields: Fields, blocks: Blocks) -> None:
    """Numbers by `repr`, the shortest text that reads back as the same double."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        writer.writerow(fields)
        for block in blocks:
            writer.writerows(zip(*(_plain(column) for column in block), strict=True))


def _write_parquet(path: Path, fields: Fields, blocks: Blocks) -> None:
    arrow = extras.load("pyarrow", "parquet", "Parquet")
    parquet = extras.load("pyarrow.parquet", "parquet", "Parquet")
    kinds = (arrow.string() if kind.kind == "S" else arrow.from_numpy_dtype(kind) for kind in fields.values())
    schema = arrow.schema(list(zip(fields, kinds, strict=True)))
    with parquet.ParquetWriter(path, schema) as writer:
        for block in blocks:
            columns = [_plain(column) if column.dtype.kind == "S" else column for column in block]
            writer.write_table(arrow.table(columns, schema=schema))


def _plain(column: NDArray[Any]) -> list[Any]:
    """Numbers and texts of Python."""
    values = column.tolist()
    return [value.decode(errors="backslashreplace") for value in values] if column.dtype.kind == "S" else values
