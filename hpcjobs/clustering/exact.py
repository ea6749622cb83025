"""Exact sums over rows on any number of ranks: the fixed-point grid and what is read back from it."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpcjobs.errors import DataError
from hpcjobs.parallel.communicator import Communicator

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Values up to here have squared distances that float64 can hold.
LARGEST = 2.0**500
LARGEST_ROWS = 2**40


def spare_bits(rows: int) -> int:
    """Bits left for one term when the sum of `rows` of them must stay below 2**62."""
    return 62 - max(0, (rows - 1).bit_length())


def power_below(bound: float, bits: int) -> float:
    """The largest power of two that scales every |t| <= bound below 2**bits."""
    return math.ldexp(1.0, min(1000, bits - math.frexp(bound)[1])) if bound > 0 else 1.0


@dataclass(frozen=True)
class Grid:
    """The fixed-point grid of one data set: row x enters sums as integers of weight * (x - shift) * scale.

    shift, scale (features,): the middle of each feature's range and a power of two. One lane keeps 62 bits less
    log2(rows) below the largest value; two lanes twice that.
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
    if max(np.abs(low).max(), np.abs(high).max()) > LARGEST:
        raise DataError(
            f"the data hold values beyond {LARGEST:.0e}, whose squared distances overflow; scale them down first"
        )
    shift = low + (high - low) / 2
    reach = np.maximum(high - shift, shift - low)
    # A constant feature takes the grid of the widest one: it must not narrow the range of the others.
    reach = np.where(reach > 0, reach, reach.max() if reach.max() > 0 else 1.0)
    bits = spare_bits(rows)
    heavy = 1.0 if heaviest is None else max(heaviest, 2.0**-500)
    scale = np.array([power_below(value * heavy, bits) for value in reach])
    return Grid(
        shift=shift,
        scale=scale,
        low_scale=math.ldexp(1.0, bits),
        mass_scale=1.0 if heaviest is None else power_below(heavy, bits),
        lanes=1 if single and heaviest is None else 2,
    )


def exact_sum(values: Floats, rows: int, communicator: Communicator) -> float:
    """The sum over all ranks of non-negative values (local rows,), the same bits on any number of ranks."""
    largest = np.array([values.max(initial=0.0)])
    communicator.allreduce_max(largest)
    if largest[0] == 0:
        return 0.0
    bits = spare_bits(rows)
    scale = power_below(float(largest[0]), bits)
    lanes = np.zeros(2, dtype=np.int64)
    for start in range(0, len(values), 2**16):
        scaled = values[start : start + 2**16] * scale
        whole = np.rint(scaled)
        lanes[0] += int(whole.astype(np.int64).sum())
        lanes[1] += int(np.rint((scaled - whole) * math.ldexp(1.0, bits)).astype(np.int64).sum())
    communicator.allreduce_sum(lanes)
    return float(_join(lanes, math.ldexp(1.0, bits)) / scale)


def _join(lanes: Integers, low_scale: float) -> Floats:
    joined = lanes[0].astype(np.float64)
    if len(lanes) > 1:
        joined = joined + lanes[1].astype(np.float64) / low_scale
    return joined
