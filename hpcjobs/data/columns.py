"""What the columns of a delimited file mean: features, row identity, target."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.delimited import MISSING, number
from hpcjobs.data.schema import texts
from hpcjobs.data.table import ImportOptions
from hpcjobs.errors import DataError, SettingsError

MOST_CLASSES = 2**16


class Named(Protocol):
    """A file whose columns have names or numbers."""

    @property
    def path(self) -> Path: ...

    @property
    def width(self) -> int: ...

    def name(self, column: int) -> str: ...

    def column(self, flag: str, wanted: str) -> int: ...


@dataclass(frozen=True)
class Columns:
    """Positions of the columns that are used."""

    features: tuple[int, ...]
    identity: int | None
    target: int | None


def choose(text: Named, options: ImportOptions) -> Columns:
    """Find the columns that the options name."""
    identity = None if options.id_column is None else text.column("--id", options.id_column)
    target = None if options.target_column is None else text.column("--target", options.target_column)
    if identity is not None and identity == target:
        raise SettingsError(f"--id and --target both name column {text.name(identity)} of {text.path}")
    dropped = tuple(text.column("--drop", wanted) for wanted in options.drop)
    features = tuple(text.column("--columns", wanted) for wanted in options.columns)
    for column in dropped:
        others = {"--id": (identity,), "--target": (target,), "--columns": features}
        if flags := [flag for flag, named in others.items() if column in named]:
            raise SettingsError(f"--drop and {flags[0]} both name column {text.name(column)} of {text.path}")
    if options.pseudonymise is not None and text.column("--pseudonymise", options.pseudonymise) != identity:
        raise SettingsError(
            f"--pseudonymise {options.pseudonymise}: only ids are replaced; name the column with --id too, "
            "or leave it out with --drop"
        )
    for column in features:
        if features.count(column) > 1:
            raise SettingsError(f"--columns names column {text.name(column)} of {text.path} twice")
        if column in (identity, target):
            flag = "--id" if column == identity else "--target"
            raise SettingsError(f"--columns and {flag} both name column {text.name(column)} of {text.path}")
    features = features or tuple(column for column in range(text.width) if column not in (identity, target, *dropped))
    if not features:
        raise DataError(f"{text.path}: of its {text.width} columns none is left for the features")
    return Columns(features, identity, target)


def identities(fields: Sequence[str]) -> NDArray[Any]:
    """Ids (rows,) as int64 when that keeps them as they are written, else as text (`007` stays)."""
    if all(_is_integer(field) and str(int(field)) == field for field in fields):
        return np.array([int(field) for field in fields], dtype=np.int64)
    return texts(fields)


class TargetKind:
    """Learns block by block whether a target column holds integers, numbers or class names."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._integers = True
        self._numbers = True
        self._names: set[str] | None = set()  # None: too many to be classes

    def learn(self, fields: Iterable[str]) -> None:
        """Look at the fields of one block."""
        distinct = set(fields)
        self._integers = self._integers and all(_is_integer(field) for field in distinct)
        self._numbers = self._numbers and all(number(field) is not None for field in distinct)
        if self._names is not None:
            self._names |= distinct - MISSING
            if len(self._names) > MOST_CLASSES:
                self._names = None
        if self._names is None and not self._numbers:
            raise DataError(
                f"{self._where}: more than {MOST_CLASSES} different texts are no classes; "
                "name the column with --id, or leave it out with --columns"
            )

    def name(self) -> str:
        """integer | number | class"""
        return "integer" if self._integers else "number" if self._numbers else "class"

    def class_names(self) -> tuple[str, ...]:
        """The classes in sorted order; none when the target is numeric."""
        return () if self._numbers else tuple(sorted(self._names or ()))

    def dtype(self) -> np.dtype[Any]:
        return np.dtype({"integer": "int64", "number": "float64", "class": "int32"}[self.name()])

    def values(self, fields: Sequence[str]) -> NDArray[Any]:
        """The target (rows,) of one block; a missing number is NaN, a missing class is -1."""
        if self._integers:
            return np.array([int(field) for field in fields], dtype=np.int64)
        if self._numbers:
            return np.array([number(field) for field in fields], dtype=np.float64)
        index = {name: position for position, name in enumerate(self.class_names())}
        return np.array([index.get(field, -1) for field in fields], dtype=np.int32)


def _is_integer(field: str) -> bool:
    if not field.isascii() or not field.removeprefix("-").removeprefix("+").isdigit() or len(field) > 20:
        return False
    return -(2**63) <= int(field) < 2**63
