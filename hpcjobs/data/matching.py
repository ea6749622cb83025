"""Which rows of several data sets are of the same sample: those that share an id."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.choosing import shown
from hpcjobs.data.samples import Column, Samples, whole
from hpcjobs.data.table import check_unique
from hpcjobs.errors import DataError

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Named:
    """A data set as the user names it, and what it holds."""

    name: str
    samples: Samples

    def __str__(self) -> str:
        return self.name


def match(several: Sequence[Named]) -> Integers:
    """The rows (data sets, samples) of the samples that all have, in the order of the first; refused without any."""
    ids = [_identities(one) for one in several]
    if len({values.dtype.kind for values in ids}) > 1:
        words = ["texts" if values.dtype.kind == "S" else "numbers" for values in ids]
        kinds = ", ".join(f"{one} has {word}" for one, word in zip(several, words, strict=True))
        raise DataError(f"ids of different kinds cannot be equal: {kinds}; import them again with ids written alike")
    found = [np.arange(len(ids[0])), *(_places(values, ids[0]) for values in ids[1:])]
    shared = np.all([places >= 0 for places in found], axis=0)
    if not shared.any():
        examples = [", ".join(map(shown, values[:2])) for values in ids]
        some = "; ".join(f"{one} has {example}" for one, example in zip(several, examples, strict=True))
        raise DataError(f"no row has a partner: of ids {some}, ...; the ids of a sample must be written alike")
    return np.stack([places[shared] for places in found])


def refuse_other_targets(several: Sequence[Named], rows: Integers) -> None:
    """Refuse data sets that say different things of the same sample: its id then means two samples."""
    known = [
        (one, own)
        for one, own in zip(several, rows, strict=True)
        if "y" in one.samples.columns and len(one.samples.columns["y"].shape) == 1
    ]
    for other, own in known[1:]:
        first, its = known[0]
        told, there = _targets(first, other), _targets(other, first)
        if told.dtype.kind != there.dtype.kind and "S" in (told.dtype.kind, there.dtype.kind):
            continue
        told, there = told[its], there[own]
        same = (told == there) | ((told != told) & (there != there))  # NaN is equal to NaN here
        if not same.all():
            at = int(np.argmin(same))
            identity = shown(whole(first.samples.columns["id"])[its[at]])
            raise DataError(
                f"{other}: y of id {identity} is {shown(there[at])}, and {shown(told[at])} in {first} "
                f"({int((~same).sum())} of {len(its)} rows differ so): the ids do not mean the same samples, or labels "
                "are wrong; mend one of them"
            )


def _identities(one: Named) -> NDArray[Any]:
    values = whole(one.samples.columns["id"])
    check_unique(values, lambda first, second: f"{one}: rows {first} and {second}")
    if values.dtype.kind == "u":
        if values.max() > np.iinfo(np.int64).max:
            raise DataError(f"{one}: the id {values.max()} is beyond 63 bits; write ids as texts")
        values = values.astype(np.int64)
    return values


def _places(values: NDArray[Any], wanted: NDArray[Any]) -> Integers:
    """Where each of the `wanted` ids stands in `values`, -1 where it does not."""
    order = np.argsort(values, kind="stable")
    at = order[np.minimum(np.searchsorted(values, wanted, sorter=order), len(values) - 1)]
    return np.where(values[at] == wanted, at, -1)


def _targets(one: Named, beside: Named) -> NDArray[Any]:
    """The target of each row: by the names of classes where both have some."""
    values = whole(one.samples.columns["y"])
    names = [named.samples.others.get("/data/class_name") for named in (one, beside)]
    if values.dtype.kind not in "iu" or not all(isinstance(held, Column) for held in names):
        return values
    assert isinstance(names[0], Column)
    called = whole(names[0])
    known = (values >= 0) & (values < len(called))
    return np.where(known, called[np.where(known, values, 0)], values.astype("S"))
