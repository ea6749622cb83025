"""The table that a Parquet file holds, read by row group."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.columns import MOST_CLASSES, choose
from hpcjobs.data.delimited import MISSING, text_problem
from hpcjobs.data.naming import column_name, find_column
from hpcjobs.data.schema import texts
from hpcjobs.data.table import ImportOptions, Table, Target, check_unique, natural, representable
from hpcjobs.errors import DataError, SettingsError
from hpcjobs.parallel.shards import Span

SUFFIXES = (".parquet", ".pq")
VALUES_AT_A_TIME = 2**20


@dataclass(frozen=True)
class Parquet:
    """A Parquet file: its columns, their types, and the rows before each row group."""

    path: Path
    names: tuple[str, ...]
    kinds: tuple[str, ...]  # number | text | other
    dtypes: tuple[str, ...]  # of the numbers
    ends: tuple[int, ...]  # rows up to the end of each row group

    @property
    def width(self) -> int:
        return len(self.names)

    def name(self, column: int) -> str:
        """How to speak of a column."""
        return column_name(self.names, column)

    def column(self, flag: str, wanted: str) -> int:
        """The position of the column that the user calls `wanted`."""
        return find_column(self.path, self.names, self.width, flag, wanted)


def open_parquet(path: Path, options: ImportOptions) -> Table:
    """The table (rows, features) of a Parquet file: numbers and truth values, ids and a target."""
    file = _look(path)
    columns = choose(file, options)
    for column in columns.features:
        if file.kinds[column] != "number":
            raise DataError(
                f"{path}: column {file.name(column)} holds {file.dtypes[column]}, where features are numbers. Name it "
                "with --id or --target, leave it out with --drop, or list the columns to take with --columns"
            )
    kinds = {file.dtypes[column] for column in columns.features}
    wanted = np.dtype(options.dtype or (natural(np.dtype(kinds.pop())) if len(kinds) == 1 else "float64"))
    if file.ends[-1:] in ((), (0,)):
        raise DataError(f"{path}: holds no rows")
    if columns.identity is None:
        identities, kind = None, "row number"
    else:
        identities = _identities(file, columns.identity, options.pseudonymise is not None)
        kind = "text" if identities.dtype.kind == "S" else "integer"
    return Table(
        file.ends[-1],
        (len(columns.features),),
        wanted,
        partial(_features, file, columns.features, wanted),
        identities=identities,
        identity_kind=kind,
        target=None if columns.target is None else _target(file, columns.target),
        feature_names=tuple(file.names[column] for column in columns.features),
    )


def _look(path: Path) -> Parquet:
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise SettingsError(f"{path}: Parquet needs pyarrow: pip install 'hpcjobs[parquet]'") from None
    with _readable(path), parquet.ParquetFile(path) as file:
        schema, metadata = file.schema_arrow, file.metadata
        if len(set(schema.names)) < len(schema.names):
            raise DataError(f"{path}: several of its columns have the same name; rename them")
        ends = np.cumsum([metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)])
        kinds, dtypes = [], []
        for field in schema:
            kind = field.type.value_type if arrow.types.is_dictionary(field.type) else field.type
            number = any(
                test(kind) for test in (arrow.types.is_integer, arrow.types.is_floating, arrow.types.is_boolean)
            )
            text = arrow.types.is_string(kind) or arrow.types.is_large_string(kind)
            kinds.append("number" if number and kind == field.type else "text" if text else "other")
            dtypes.append(np.dtype(kind.to_pandas_dtype()).name if number else str(field.type))
        return Parquet(path, tuple(schema.names), tuple(kinds), tuple(dtypes), tuple(int(end) for end in ends))


def _batches(file: Parquet, columns: tuple[int, ...], span: Span) -> Iterator[tuple[int, Any]]:
    """Record batches of some columns, with the row that each begins with."""
    from pyarrow import parquet

    step = max(1, VALUES_AT_A_TIME // len(columns))
    starts = (0, *file.ends[:-1])
    with _readable(file.path), parquet.ParquetFile(file.path) as opened:
        for group, (start, end) in enumerate(zip(starts, file.ends, strict=True)):
            if end <= span.start or start >= span.stop:
                continue
            at = start
            names = [file.names[column] for column in columns]
            for batch in opened.iter_batches(step, row_groups=[group], columns=names, use_threads=False):
                first, last = max(at, span.start), min(at + batch.num_rows, span.stop)
                if first < last:
                    yield first, batch.slice(first - at, last - first)
                at += batch.num_rows


def _features(file: Parquet, columns: tuple[int, ...], wanted: np.dtype[Any], span: Span) -> Iterator[NDArray[Any]]:
    """x (rows, features) of a span; a missing value is NaN."""
    for first, batch in _batches(file, columns, span):
        x = np.empty((batch.num_rows, len(columns)), dtype=wanted)
        for position, column in enumerate(columns):
            values = _numbers(file, column, batch.column(file.names[column]))
            if values.dtype != wanted and not (fits := representable(values, wanted)).all():
                row = int(np.argmin(fits))
                raise DataError(
                    f"{file.path}: row {first + row}, column {file.name(column)} holds {values[row]}, which {wanted} "
                    "cannot hold; choose another --dtype, or mend the value"
                )
            x[:, position] = values
        yield x


def _numbers(file: Parquet, column: int, values: Any) -> NDArray[Any]:
    """A column (rows,) as it is stored, or as float64 with NaN where values are missing."""
    import pyarrow as arrow

    if values.null_count and file.dtypes[column] == "bool":
        values = values.cast(arrow.uint8())
    if values.null_count and not file.dtypes[column].startswith("float"):
        try:
            values = values.cast(arrow.float64())
        except arrow.ArrowInvalid as error:
            raise DataError(f"{file.path}: column {file.name(column)}: {error}; leave it out with --drop") from None
    found: NDArray[Any] = values.to_numpy(zero_copy_only=False)
    return found.astype(np.uint8) if found.dtype == bool else found


def _identities(file: Parquet, column: int, secret: bool) -> NDArray[Any]:
    """Ids (rows,) as int64 or text, as the file has them."""
    where = f"{file.path}: column {file.name(column)}"
    if not (file.kinds[column] == "text" or "int" in file.dtypes[column]):
        raise DataError(f"{where} holds {file.dtypes[column]}; ids are whole numbers or text")
    parts = []
    for first, batch in _batches(file, (column,), Span(0, file.ends[-1])):
        values = batch.column(0)
        if values.null_count:
            raise DataError(f"{where}: {values.null_count} of the rows from {first} on have no id")
        if file.kinds[column] == "text":
            written = [str(value) for value in values.to_pylist()]
            if problem := next(filter(None, map(text_problem, written)), ""):
                raise DataError(f"{where}: an id is {problem}")
            parts.append(texts(written))
        else:
            numbers = values.to_numpy(zero_copy_only=False)
            if (numbers > np.iinfo(np.int64).max).any():
                raise DataError(f"{where}: holds ids beyond 2**63; store them as text")
            parts.append(numbers.astype(np.int64))
    found: NDArray[Any] = np.concatenate(parts)
    check_unique(found, lambda first, second: f"{where}: rows {first} and {second}", secret)
    return found


def _target(file: Parquet, column: int) -> Target:
    where = f"{file.path}: column {file.name(column)}"
    whole = Span(0, file.ends[-1])
    if file.kinds[column] == "other":
        raise DataError(f"{where} holds {file.dtypes[column]}; a target is numbers or text")
    if file.kinds[column] == "number":
        missing = any(batch.column(0).null_count for _, batch in _batches(file, (column,), whole))
        exact = not missing and file.dtypes[column] != "uint64" and not file.dtypes[column].startswith("float")
        dtype = np.dtype("int64" if exact else "float64")
        return Target("integer" if exact else "number", dtype, partial(_features_of_one, file, column, dtype))
    names: set[str] = set()
    for _, batch in _batches(file, (column,), whole):
        names |= {value for value in batch.column(0).unique().to_pylist() if value is not None} - MISSING
        if len(names) > MOST_CLASSES:
            raise DataError(f"{where}: more than {MOST_CLASSES} different texts are no classes; name it with --id")
    if problem := next(filter(None, map(text_problem, names)), ""):
        raise DataError(f"{where}: a class name is {problem}")
    ordered = tuple(sorted(names))
    return Target("class", np.dtype(np.int32), partial(_class_numbers, file, column, ordered), ordered)


def _features_of_one(file: Parquet, column: int, dtype: np.dtype[Any], span: Span) -> Iterator[NDArray[Any]]:
    for _, batch in _batches(file, (column,), span):
        values = _numbers(file, column, batch.column(0))
        if dtype.kind == "f" and not representable(values, dtype).all():
            raise DataError(f"{file.path}: column {file.name(column)} holds a number that {dtype} cannot hold")
        yield values.astype(dtype)


def _class_numbers(file: Parquet, column: int, names: tuple[str, ...], span: Span) -> Iterator[NDArray[np.int32]]:
    number = {name: index for index, name in enumerate(names)}
    for _, batch in _batches(file, (column,), span):
        yield np.array([number.get(value, -1) for value in batch.column(0).to_pylist()], dtype=np.int32)


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Say plainly that a file is damaged where pyarrow raises one of its many errors."""
    import pyarrow as arrow

    try:
        yield
    except (arrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: not a readable Parquet file ({reason}); make it again") from None
