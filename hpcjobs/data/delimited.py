"""The records of a delimited text file (CSV, TSV), plain or gzipped, and what its columns are called."""

import contextlib
import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import IO, cast

from hpcjobs.data.naming import column_name, find_column
from hpcjobs.data.table import ImportOptions
from hpcjobs.errors import DataError

SUFFIXES = (".csv", ".tsv", ".txt")
MISSING = frozenset({"", "NA", "nan", "NaN", "NAN"})
LONGEST_TEXT = 256  # bytes of a name or id, for each is stored at the length of the longest
RECORDS_PER_REPORT = 4096
GZIP_ERRORS = (EOFError, zlib.error, gzip.BadGzipFile)


@dataclass(frozen=True)
class Delimited:
    """A delimited text file whose first rows have been looked at. `names` is empty without a header."""

    path: Path
    delimiter: str
    width: int
    names: tuple[str, ...]

    def records(self, position: Callable[[int], None] = lambda _: None) -> Iterator[tuple[int, list[str]]]:
        """Line number and fields of every record after the header; `position` hears the bytes read so far."""
        line = 1
        header = bool(self.names)
        with _opened(self.path) as (raw, text):
            reader = csv.reader(text, delimiter=self.delimiter, skipinitialspace=True, strict=True)
            try:
                for count, row in enumerate(reader):
                    if row and header:
                        header = False
                    elif row:
                        yield line, row
                    line = reader.line_num + 1
                    if count % RECORDS_PER_REPORT == 0:
                        position(raw.tell())
            except csv.Error as error:
                raise DataError(
                    f"{self.path}: line {line}: broken quoting or a giant field ({error}); "
                    'quotes inside a field are written twice, as in "5"" pipe"'
                ) from None
            except GZIP_ERRORS as error:
                raise DataError(f"{self.path}: damaged after line {line} ({error}); make it again") from None
            position(raw.tell())

    def name(self, column: int) -> str:
        """How to speak of a column."""
        return column_name(self.names, column)

    def column(self, flag: str, wanted: str) -> int:
        """The position of the column that the user calls `wanted`: a name, or a 0-based number."""
        return find_column(self.path, self.names, self.width, flag, wanted)


def open_delimited(path: Path, options: ImportOptions) -> Delimited:
    """Look at the first two rows: delimiter, number of columns, header."""
    plain = Delimited(path, options.delimiter or _delimiter(path), 0, ())
    first_rows = [row for _, row in islice(plain.records(), 2)]
    if not first_rows:
        raise DataError(f"{path}: holds no rows")
    first = first_rows[0]
    found = replace(plain, width=len(first))
    header = options.header if options.header is not None else _looks_like_header(path, first_rows, options)
    if not header:
        return found
    for column, name in enumerate(first):
        if problem := text_problem(name):
            raise DataError(f"{path}: the header of column {column} is {problem}")
    return replace(found, names=tuple(name.strip() for name in first))


def number(field: str) -> float | None:
    """The number in a field, NaN where it is missing, None where text stands."""
    field = field.strip()
    if field in MISSING:
        return float("nan")
    if "_" in field or not field.isascii():  # float() would take 1_000 and other scripts' digits
        return None
    try:
        return float(field)
    except ValueError:
        return None


def text_problem(field: str) -> str:
    """What keeps a field from being a name or id; "" when nothing does."""
    try:
        length = len(field.encode())
    except UnicodeEncodeError:
        return "not UTF-8 text; save the file as UTF-8"
    return f"{length} bytes long; at most {LONGEST_TEXT} are kept" if length > LONGEST_TEXT else ""


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], io.TextIOWrapper]]:
    """The file as bytes (to know how far we are) and as text; bytes that are not UTF-8 become surrogates."""
    with contextlib.ExitStack() as stack:
        raw = stack.enter_context(path.open("rb"))
        plain = raw if path.suffix.lower() != ".gz" else stack.enter_context(gzip.GzipFile(fileobj=raw))
        text = io.TextIOWrapper(cast(IO[bytes], plain), encoding="utf-8-sig", errors="surrogateescape", newline="")
        yield raw, stack.enter_context(text)


def _delimiter(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    if not name.endswith(".txt"):
        return "\t" if name.endswith(".tsv") else ","
    try:
        with _opened(path) as (_, text):
            line = text.readline(2**20).strip()
    except GZIP_ERRORS as error:
        raise DataError(f"{path}: not a readable gzip file ({error}); make it again") from None
    return next((delimiter for delimiter in "\t,; " if delimiter in line), ",")


def _looks_like_header(path: Path, rows: list[list[str]], options: ImportOptions) -> bool:
    """A header has text where numbers follow. Numbers beside text in both rows could be either: we ask."""
    text = [column for column, field in enumerate(rows[0]) if number(field) is None]
    blank = sum(not field.strip() for field in rows[0])  # pandas leaves the name of its index blank
    if not text:
        return False
    second = dict(enumerate(rows[1] if len(rows) > 1 else []))
    below = [second.get(column, "").strip() for column in text]
    if len(text) + blank == len(rows[0]) or any(field and number(field) is not None for field in below):
        return True
    shown = "" if options.pseudonymise else f" ({rows[0][text[0]]!r})"  # it may be an id that must not be told
    raise DataError(
        f"{path}: its first row has both text{shown} and numbers, as the second one has: "
        "say --header yes if it names the columns, --header no if it is data"
    )
