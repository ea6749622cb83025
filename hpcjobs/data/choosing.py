"""Which rows are held back: exact counts by class and by group, from a seed alone.

Rows and groups are drawn by their keys: row r has word r of the generator of "data split", group g
(numbered in the order of their values) word g of that of "data split groups".
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.errors import SettingsError
from hpcjobs.parallel.randomness import words

TRAIN, TEST, VALIDATION = range(3)
PARTS = ("train", "test", "validation")


@dataclass(frozen=True)
class Shares:
    """What part of the rows is held back for the test and for validation; the others are to train on."""

    test: float
    validation: float = 0.0

    def check(self) -> None:
        """Refuse shares that leave nothing on one side."""
        for flag, share in (("--test", self.test), ("--validation", self.validation or None)):
            if share is not None and not 0 < share < 1:
                raise SettingsError(f"{flag} {share:g}: expected a share of the rows between 0 and 1, such as 0.2")
        if self.test + self.validation >= 1:
            raise SettingsError(
                f"--test {self.test:g} and --validation {self.validation:g} are all there is; leave rows to train on"
            )

    @property
    def parts(self) -> tuple[int, ...]:
        """The parts that are asked for."""
        return (TRAIN, TEST, VALIDATION) if self.validation else (TRAIN, TEST)

    def counts(self, rows: int) -> tuple[int, int]:
        """Rows of test and validation: the nearest whole numbers, halves up; none of the parts is empty."""
        found = [int(rows * Fraction(repr(share)) + Fraction(1, 2)) for share in (self.test, self.validation)]
        for flag, share, count in zip(("--test", "--validation"), (self.test, self.validation), found, strict=True):
            if share and count == 0:
                raise SettingsError(f"{flag} {share:g} of {rows} rows is not even one; it takes {1 / rows:.2g} or more")
        if sum(found) >= rows:
            raise SettingsError(f"--test {self.test:g} of {rows} rows leaves none to train on; hold fewer back")
        return found[0], found[1]


def choose(
    rows: int,
    shares: Shares,
    seed: int,
    classes: NDArray[Any] | None = None,
    groups: NDArray[Any] | None = None,
    group_name: str = "",
) -> NDArray[np.uint8]:
    """The part (rows,) of each row. `classes` keep their shares in every part, a group is never divided."""
    test, validation = shares.counts(rows)
    if groups is None:
        row_class = _numbers(classes, rows)
        wanted = apportion(np.bincount(row_class), test, validation)
        _refuse_small(classes, row_class, shares, "rows")
        return _draw(row_class, words(seed, "data split", 0, rows), wanted)
    names, row_group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(names) < len(shares.parts):
        raise SettingsError(
            f"--by {group_name}: {len(names)} group(s) for {len(shares.parts)} parts; each part needs one of its own"
        )
    group_class = _class_of_groups(classes, names, row_group, group_name)
    wanted = apportion(np.bincount(group_class, weights=sizes).astype(np.int64), test, validation)
    _refuse_small(classes, group_class, shares, "groups")
    keys = words(seed, "data split groups", 0, len(names))
    return _deal_groups(group_class, sizes, keys, wanted)[row_group]


def apportion(counts: NDArray[np.int64], test: int, validation: int) -> NDArray[np.int64]:
    """Rows of test and validation (classes, 2) in each class, by largest remainder, the sums exact.

    Of what the test leaves, validation gets its part in the same way; equal remainders favour the first class.

    >>> apportion(np.array([50, 30, 20]), 9, 0).tolist()
    [[4, 0], [3, 0], [2, 0]]
    """
    left, found = counts.copy(), []
    for wanted in (test, validation):
        quota = [divmod(int(count) * wanted, int(left.sum())) for count in left]
        share = np.array([whole for whole, _ in quota], dtype=np.int64)
        largest = sorted(range(len(left)), key=lambda index: (-quota[index][1], index))
        share[largest[: wanted - int(share.sum())]] += 1
        left -= share
        found.append(share)
    return np.stack(found, axis=1)


def _draw(row_class: NDArray[np.int64], keys: NDArray[np.uint64], wanted: NDArray[np.int64]) -> NDArray[np.uint8]:
    """In each class the rows of lowest key are the test, the next ones validation."""
    part = np.zeros(len(keys), dtype=np.uint8)
    order = np.lexsort((keys, row_class))
    start = 0
    for count, (test, validation) in zip(np.bincount(row_class), wanted, strict=True):
        part[order[start : start + test]] = TEST
        part[order[start + test : start + test + validation]] = VALIDATION
        start += count
    return part


def _deal_groups(
    group_class: NDArray[np.int64], sizes: NDArray[np.int64], keys: NDArray[np.uint64], wanted: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """The part of each group: drawn one after another, a group is taken when the count comes nearer to the wanted one.

    A part that would get none gets the smallest that is left.
    """
    part = np.zeros(len(sizes), dtype=np.uint8)
    for number, targets in enumerate(wanted):
        members = np.flatnonzero(group_class == number)
        free = [int(group) for group in members[np.argsort(keys[members], kind="stable")]]
        for kind, target in ((TEST, int(targets[0])), (VALIDATION, int(targets[1]))):
            keep = 1 + int(kind == TEST and targets[1] > 0)  # groups that the parts to come need
            taken: list[int] = []
            held = 0
            for group in free:
                if len(free) - len(taken) > keep and 2 * held + sizes[group] <= 2 * target:
                    taken.append(group)
                    held += int(sizes[group])
            if target and not taken and len(free) > keep:
                taken = [min(free, key=lambda group: int(sizes[group]))]
            part[taken] = kind
            free = [group for group in free if part[group] == TRAIN]
    return part


def _numbers(classes: NDArray[Any] | None, rows: int) -> NDArray[np.int64]:
    """The number of each row's class; without classes all rows are of one."""
    return np.zeros(rows, np.int64) if classes is None else np.unique(classes, return_inverse=True)[1]


def _class_of_groups(
    classes: NDArray[Any] | None, names: NDArray[Any], row_group: NDArray[np.int64], group_name: str
) -> NDArray[np.int64]:
    """The class of each group; a group of several classes is refused, for exact shares would divide it."""
    row_class = _numbers(classes, len(row_group))
    found = np.zeros(len(names), dtype=np.int64)
    found[row_group] = row_class
    mixed = np.flatnonzero(found[row_group] != row_class)
    if classes is not None and len(mixed):
        group = row_group[mixed[0]]
        held = ", ".join(shown(value) for value in np.unique(classes[row_group == group])[:5])
        raise SettingsError(
            f"--stratify with --by {group_name}: group {shown(names[group])} holds rows of the classes {held}; keeping "
            "the shares of the classes would put it on both sides; leave --stratify or --by out"
        )
    return found


def _refuse_small(classes: NDArray[Any] | None, member_class: NDArray[np.int64], shares: Shares, what: str) -> None:
    counts = np.bincount(member_class)
    small = np.flatnonzero(counts < len(shares.parts))
    if classes is not None and len(small):
        name = shown(np.unique(classes)[small[0]])
        raise SettingsError(
            f"--stratify: class {name} has {counts[small[0]]} of the {what} for {len(shares.parts)} parts; "
            "it takes one for each: leave the class out, gather more, or leave --stratify out"
        )


def shown(value: Any) -> str:
    """A value of a column, as a person writes it."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
