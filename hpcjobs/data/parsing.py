"""From records to blocks of numbers: bad rows are found, named by line, and refused or skipped."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.columns import Columns
from hpcjobs.data.delimited import Delimited, number, text_problem
from hpcjobs.data.table import representable
from hpcjobs.errors import DataError

ROWS_AT_A_TIME = 2**16
FIELDS_AT_A_TIME = 2**20
NAMED = 5

Batch = list[tuple[int, tuple[int, list[str]]]]  # source row, (line, fields)


@dataclass(frozen=True)
class Block:
    """The good rows of one stretch of the file: x (rows, features), source row numbers (rows,), texts."""

    x: NDArray[Any]
    numbers: NDArray[np.int64]
    identities: list[str]
    targets: list[str]
    skipped: int


@dataclass
class BadRows:
    """How many rows were bad, why the first few were, and in which features text stood, over all blocks."""

    rows: int = 0  # good and bad
    count: int = 0
    first: list[str] = field(default_factory=list)
    texts: Counter[int] = field(default_factory=Counter)  # column: rows that hold text there

    def add(self, rows: int, found: list[tuple[int, str]]) -> None:
        """Take one block of `rows` rows: line and reason of the bad ones."""
        self.rows += rows
        self.count += len(found)
        self.first += [f"line {line}: {reason}" for line, reason in sorted(found)[: NAMED - len(self.first)]]


@dataclass(frozen=True)
class Parser:
    """Reads one file in the light of the options."""

    text: Delimited
    columns: Columns
    dtype: np.dtype[Any]
    skip: bool  # bad rows are left out instead of refused

    def blocks(self, position: Callable[[int], None], numeric: bool, first: int = 0) -> Iterator[Block]:
        """The good rows, in order. Without `numeric`, x stays empty and fields are only counted: faster.

        The x of the first `first` good rows are passed over, and not read where all rows have been found good.
        """
        bad = BadRows()
        numeric = numeric or self.skip  # which rows are good shows only when all fields are read
        records: Iterator[tuple[int, tuple[int, list[str]]]] = enumerate(self.text.records(position))
        if not self.skip:
            records, first = islice(records, first, None), 0
        step = max(1, min(ROWS_AT_A_TIME, FIELDS_AT_A_TIME // self.text.width))
        while batch := list(islice(records, step)):
            block = self._block(batch, numeric, bad)
            if self.skip or bad.count == 0:
                passed = min(first, len(block.x))
                first -= passed
                yield replace(block, x=block.x[passed:]) if passed else block
        if bad.count and not self.skip:
            if not numeric:  # once more, to report every kind of mistake at once
                for _ in self.blocks(position, numeric=True):
                    pass
            raise DataError(
                f"{self.text.path}: {bad.count} bad row{'s' * (bad.count > 1)}: {'; '.join(bad.first)}"
                f"{'; ...' * (bad.count > NAMED)}. Mend them, or leave them out with --bad-rows skip"
            )

    def _block(self, batch: Batch, numeric: bool, bad: BadRows) -> Block:
        features = self.columns.features if numeric else ()
        pick = _picker(features)
        x = np.empty((len(batch), len(features)))
        good: list[tuple[int, int, list[str]]] = []  # source row, line, fields
        found: list[tuple[int, str]] = []
        for source_row, (line, row) in batch:
            if len(row) != self.text.width:
                found.append((line, f"found {len(row)} fields, expected {self.text.width}"))
                continue
            values, wrong = _numbers(pick(row))
            if wrong:
                bad.texts.update(features[position] for position in wrong)
                column = features[wrong[0]]
                name = self.text.name(column)
                found.append((line, f"column {name} holds {row[column]!r}, expected a number"))
            elif problem := self._problem(row):
                found.append((line, problem))
            else:
                x[len(good)] = values
                good.append((source_row, line, row))
        x = x[: len(good)]
        if self.dtype != x.dtype and numeric:
            fits = representable(x, self.dtype)
            keep = np.flatnonzero(fits.all(axis=1))
            for index in np.flatnonzero(~fits.all(axis=1)):
                column = int(np.argmin(fits[index]))
                name, value = self.text.name(features[column]), x[index, column]
                found.append((good[index][1], f"column {name} holds {value:g}, not a {self.dtype} value"))
            x = x[keep].astype(self.dtype)
            good = [good[index] for index in keep]
        bad.add(len(batch), found)
        self._refuse_text_columns(batch, bad)
        return Block(
            x,
            np.array([entry[0] for entry in good], dtype=np.int64),
            _texts(good, self.columns.identity),
            _texts(good, self.columns.target),
            len(found),
        )

    def _problem(self, row: list[str]) -> str:
        """What is wrong with the id or the target of a row; "" when nothing is."""
        if self.columns.identity is not None:
            if not row[self.columns.identity].strip():
                return f"column {self.text.name(self.columns.identity)} holds no id"
            if problem := text_problem(row[self.columns.identity]):
                return f"its id is {problem}"
        if self.columns.target is not None and (problem := text_problem(row[self.columns.target])):
            return f"its target is {problem}"
        return ""

    def _refuse_text_columns(self, batch: Batch, bad: BadRows) -> None:
        """A column that has been mostly text so far is no feature, whatever is done with bad rows."""
        columns = [column for column, count in bad.texts.items() if 2 * count > bad.rows]
        if not columns:
            return
        names = ", ".join(self.text.name(column) for column in columns[:NAMED])
        line, row = next(entry for _, entry in batch if len(entry[1]) == self.text.width)
        hint = f" If {self.text.delimiter!r} does not separate the fields, say --delimiter."
        raise DataError(
            f"{self.text.path}: text in {len(columns)} of {self.text.width} columns ({names}), "
            f"e.g. {row[columns[0]]!r} in line {line}, where features are numbers. Name such a column with "
            f"--id or --target, or list the columns to take with --columns.{hint * (self.text.width == 1)}"
        )


def _picker(columns: tuple[int, ...]) -> Callable[[list[str]], Sequence[str]]:
    if len(columns) < 2:
        return lambda row: [row[column] for column in columns]
    return itemgetter(*columns)


def _numbers(fields: Sequence[str]) -> tuple[list[float], list[int]]:
    """The numbers in some fields, and the positions of those that hold text."""
    joined = "".join(fields)
    if joined.isascii() and "_" not in joined:
        try:
            return list(map(float, fields)), []
        except ValueError:
            pass
    values = [number(entry) for entry in fields]
    wrong = [position for position, value in enumerate(values) if value is None]
    return [float("nan") if value is None else value for value in values], wrong


def _texts(good: list[tuple[int, int, list[str]]], column: int | None) -> list[str]:
    return [] if column is None else [entry[2][column].strip() for entry in good]
