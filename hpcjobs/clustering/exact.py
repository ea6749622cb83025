"""Exact sums over rows on any number of ranks: the fixed-point grid and what is read back from it."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpcjobs.errors import DataError
from hpcjobs.parallel.communicator import Communicator

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Values up to here have squared distances whose sum over rows and features float64 can hold.
LARGEST = 2.0**475
LARGEST_ROWS = 2**40
# Rows whose numbers are worked out at a time: their float64 temporaries stay in the second-level cache.
BLOCK = 2**14


def spare_bits(rows: int) -> int:
    """Bits left for one term when the sum of `rows` of them must stay below 2**62."""
    return 62 - max(0, (rows - 1).bit_length())


def power_below(bound: float, bits: int) -> float:
    """The largest power of two that scales every |t| <= bound below 2**bits."""
    return math.ldexp(1.0, min(1000, bits - math.frexp(bound)[1])) if bound > 0 else 1.0


@dataclass(frozen=True)
class Grid:
    """The fixed-point grid of one data set: row x enters sums as integers of weight * (x - shift) * scale.

    shift, scale (features,): the middle of each feature's range and a power of two. One lane keeps 62 bits
    less log2(rows) below the largest value; two lanes twice that.
    """

    shift: Floats
    scale: Floats
    low_scale: float
    mass_scale: float
    lanes: int

    def read_back(self, sums: Integers) -> Floats:
        """Float64 sums of weight * (x - shift) from lanes: sums (lanes, clusters, features)."""
        return _join(sums, self.low_scale) / self.scale

    def masses(self, masses: Integers) -> Floats:
        """Float64 total weights from lanes: masses (lanes, clusters)."""
        return _join(masses, self.low_scale) / self.mass_scale


def make_grid(low: Floats, high: Floats, rows: int, heaviest: float | None, single: bool) -> Grid:
    """The grid for features within [low, high]; `heaviest` is the largest weight, None for unweighted rows.

    `single` says that the data are so short (float32, uint8) that one lane holds them.
    """
    heavy = 1.0 if heaviest is None else heaviest
    if max(np.abs(low).max(), np.abs(high).max()) * math.sqrt(max(heavy, 1.0)) > LARGEST:
        raise DataError(
            f"the data hold values beyond {LARGEST:.0e} (times the root of the largest weight, where that is "
            "above 1), whose squared distances overflow; scale them down first"
        )
    shift = low + (high - low) / 2
    reach = np.maximum(high - shift, shift - low)
    # A constant feature takes the grid of the widest one: it must not narrow the range of the others.
    reach = np.where(reach > 0, reach, reach.max() if reach.max() > 0 else 1.0)
    bits = spare_bits(rows)
    heavy = max(heavy, 2.0**-500)
    scale = np.array([power_below(value * heavy, bits) for value in reach])
    return Grid(
        shift=shift,
        scale=scale,
        low_scale=math.ldexp(1.0, bits),
        mass_scale=1.0 if heaviest is None else power_below(heavy, bits),
        lanes=1 if single and heaviest is None else 2,
    )


def runs(rows: int, block: int = BLOCK) -> Iterator[slice]:
    """The rows 0 to `rows`, a block at a time."""
    return (slice(start, min(start + block, rows)) for start in range(0, rows, block))


@dataclass(frozen=True)
class Column:
    """A number that is not negative for each of `rows` local rows, worked out again whenever it is asked for.

    `values` gives a run of rows (slice) -> (rows of it,), and is asked for `block` of them at a time: a whole column
    never lies in memory.
    """

    rows: int
    values: Callable[[slice], Floats]
    block: int = BLOCK

    def blocks(self) -> Iterator[Floats]:
        return (self.values(run) for run in runs(self.rows, self.block))

    def largest(self, communicator: Communicator) -> float:
        """The largest value over all ranks, 0 where there are no rows. Collective."""
        found = np.array([max((float(block.max()) for block in self.blocks()), default=0.0)])
        communicator.allreduce_max(found)
        return float(found[0])


def exact_sum(column: Column, rows: int, communicator: Communicator) -> float:
    """The sum of a column of at most `rows` rows over all ranks, the same bits on any number of them."""
    return float(exact_sums(column, None, 1, rows, communicator)[0])


def exact_sums(
    column: Column, labels: NDArray[np.int32] | None, groups: int, rows: int, communicator: Communicator
) -> Floats:
    """The sums (groups,) of a column of at most `rows` rows by the labels (local rows,) of its rows, over all ranks."""
    largest = column.largest(communicator)
    if largest == 0:
        return np.zeros(groups)
    bits = spare_bits(rows)
    scale, low_scale = power_below(largest, bits), math.ldexp(1.0, bits)
    lanes = np.zeros((2, groups), dtype=np.int64)
    for run in runs(column.rows, column.block):
        scaled = column.values(run) * scale
        whole = np.rint(scaled)
        parts = whole.astype(np.int64), np.rint((scaled - whole) * low_scale).astype(np.int64)
        for lane, part in zip(lanes, parts, strict=True):
            if labels is None:
                lane += part.sum()
            else:
                np.add.at(lane, labels[run], part)
    communicator.allreduce_sum(lanes)
    return _join(lanes, low_scale) / scale


def _join(lanes: Integers, low_scale: float) -> Floats:
    joined: Floats = np.asarray(lanes[0], dtype=np.float64)
    if len(lanes) > 1:
        joined += lanes[1].astype(np.float64) / low_scale
    return joined
