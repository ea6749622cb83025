"""The table that a delimited text file holds, read in passes of bounded memory.

One pass learns what there is (rows, ids, kind of the target), one gives the features, one the target if there
is any. Ids alone are held in memory, to see that none stands twice.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.columns import TargetKind, choose, identities
from hpcjobs.data.delimited import Delimited, open_delimited
from hpcjobs.data.parsing import NAMED, Block, Parser
from hpcjobs.data.table import ImportOptions, Progress, Table, Target, check_unique
from hpcjobs.errors import DataError


def open_text(path: Path, options: ImportOptions, progress: Progress) -> Table:
    """The table (rows, features) that a delimited text file holds, after one pass through it."""
    text = open_delimited(path, options)
    columns = choose(text, options)
    parser = Parser(text, columns, np.dtype(options.dtype or "float64"), options.bad_rows == "skip")
    size = path.stat().st_size
    passes = 2 if columns.target is None else 3

    def position(finished: int) -> Callable[[int], None]:
        return lambda at: progress(finished * size + min(at, size), passes * size)

    kind = TargetKind(f"{path}: column {text.name(columns.target or 0)}")
    rows, skipped = 0, 0
    numbers: list[NDArray[np.int64]] = []
    names: list[str] = []
    for block in parser.blocks(position(0), numeric=False):
        rows += len(block.numbers)
        skipped += block.skipped
        names += block.identities
        if parser.skip and columns.identity is None:
            numbers.append(block.numbers)
        if columns.target is not None:
            kind.learn(block.targets)
    if rows == 0:
        raise DataError(f"{path}: holds no good row of data" + " after its header" * bool(text.names))
    target = Target(
        kind.name(),
        kind.dtype(),
        lambda span: (kind.values(block.targets) for block in parser.blocks(position(2), numeric=False)),
        kind.class_names(),
    )
    table = Table(
        rows,
        (len(columns.features),),
        parser.dtype,
        lambda span: _cut(parser.blocks(position(1), numeric=True, first=span.start), len(span)),
        True,
        np.concatenate(numbers) if numbers else None,
        target=None if columns.target is None else target,
        feature_names=tuple(text.names[column] for column in columns.features) if text.names else (),
        skipped=skipped,
    )
    if columns.identity is None:
        return table
    return _identified(table, text, columns.identity, names, options.pseudonymise is not None)


def _cut(blocks: Iterable[Block], rows: int) -> Iterator[NDArray[Any]]:
    """x of the blocks (rows, features), no more than `rows` rows in all."""
    for block in blocks:
        yield block.x[:rows]
        rows -= len(block.x)
        if rows <= 0:
            return


def _identified(table: Table, text: Delimited, column: int, names: list[str], secret: bool) -> Table:
    """The table with its ids, once it is seen that none stands twice."""

    def describe(first: int, second: int) -> str:
        good = (entry for entry in text.records() if len(entry[1]) == text.width)
        lines = [line for line, row in good if row[column].strip() == names[first]]
        return f"{text.path}: lines {', '.join(map(str, lines[:NAMED]))}"

    found = identities(names)
    check_unique(found, describe, secret)
    return replace(table, identities=found, identity_kind="text" if found.dtype.kind == "S" else "integer")
