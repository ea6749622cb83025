"""Sorting more rows than memory holds: they are dealt to buckets in a scratch file, then each bucket is sorted."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.buckets import SHIFT, Buckets
from hpcjobs.data.publish import write_at
from hpcjobs.data.samples import Column, Read
from hpcjobs.parallel.shards import Span

WRITE_BYTES = 2**21  # handed over at a time, beside the rows that are held


def deal(
    column: Column, read: Read, keys: Read, span: Span, buckets: Buckets, step: int, file: int, offset: int
) -> Iterator[int]:
    """Write the rows of `span` to their buckets, `step` rows at a time; yields how many bytes that were.

    The buckets lie one after another in `file`, from `offset` on, and keep the order of the source.
    """
    bucket_of = np.repeat(np.arange(buckets.count), np.diff(buckets.edges))  # (BINS,)
    position = buckets.starts[:-1] + buckets.before
    for first in range(span.start, span.stop, step):
        block, drawn = _held(column, read, keys, Span(first, min(first + step, span.stop)))
        bucket = bucket_of[drawn >> SHIFT]
        order = np.argsort(bucket, kind="stable")
        counts = np.bincount(bucket, minlength=buckets.count)
        ends = np.cumsum(counts)
        for index in np.flatnonzero(counts):
            part = block[order[ends[index] - counts[index] : ends[index]]]
            write_at(file, offset + int(position[index]) * column.row_bytes, part.reshape(-1).view(np.uint8).data)
            position[index] += len(part)
        moved = block.nbytes
        del block  # before the next one is made
        yield moved


def dealt(file: int, offset: int) -> Read:
    """Reads what `deal` has written."""

    def read(start: int, out: NDArray[Any]) -> None:
        view = out.reshape(-1).view(np.uint8).data
        position = offset + start * (len(view) // max(1, len(out)))
        done = 0
        while done < len(view):
            count = os.preadv(file, [view[done : done + 2**30]], position + done)
            assert count, "the scratch file shrank"
            done += count

    return read


def ordered(column: Column, read: Read, keys: Read, span: Span) -> Iterator[NDArray[Any]]:
    """The rows of `span` in the order of their keys, some at a time; equal keys keep the order of the source."""
    rows, drawn = _held(column, read, keys, span)
    order = np.argsort(drawn, kind="stable")
    step = max(1, WRITE_BYTES // column.row_bytes)
    for first in range(0, len(span), step):
        yield rows[order[first : first + step]]


def _held(column: Column, read: Read, keys: Read, span: Span) -> tuple[NDArray[Any], NDArray[np.uint64]]:
    """Rows and keys of `span`."""
    rows = np.empty((len(span), *column.shape[1:]), dtype=column.dtype)
    drawn = np.empty(len(span), dtype=np.uint64)
    read(span.start, rows)
    keys(span.start, drawn)
    return rows, drawn
