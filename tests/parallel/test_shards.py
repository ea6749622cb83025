"""Every row belongs to one shard and every shard to one rank, whatever the number of ranks."""

from itertools import pairwise

import numpy as np
import pytest

from hpcjobs.parallel.shards import Shards, piece

TOTALS = [0, 1, 2, 7, 64, 65, 1000, 2**40 + 3]
COUNTS = [1, 2, 3, 7, 64, 100]
SIZES = [1, 2, 3, 4, 7, 63, 64, 65, 1000]


@pytest.mark.parametrize("total", TOTALS)
@pytest.mark.parametrize("pieces", COUNTS)
def test_pieces_follow_each_other_and_differ_by_one_row_at_most(total: int, pieces: int) -> None:
    spans = [piece(total, pieces, index) for index in range(pieces)]
    assert spans[0].start == 0
    assert spans[-1].stop == total
    assert all(before.stop == after.start for before, after in pairwise(spans))
    assert {len(span) for span in spans} <= {total // pieces, -(-total // pieces)}


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("size", SIZES)
def test_ranks_own_every_shard_once_and_in_order(count: int, size: int) -> None:
    shards = Shards(total=10_007, count=count)
    owned = [index for rank in range(size) for index in shards.owned(rank, size)]
    assert owned == list(range(count))


@pytest.mark.parametrize("total", [0, 1, 13, 1000])
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("size", SIZES)
def test_rows_of_the_ranks_cover_the_table_once(total: int, count: int, size: int) -> None:
    shards = Shards(total, count)
    times_owned = np.zeros(total, dtype=int)
    for rank in range(size):
        rows = shards.rows(rank, size)
        times_owned[rows.start : rows.stop] += 1
        own = [row for index in shards.owned(rank, size) for row in span_of(shards, index)]
        assert own == list(range(rows.start, rows.stop))
    assert (times_owned == 1).all()


def span_of(shards: Shards, index: int) -> range:
    """Row numbers of one shard."""
    span = shards.shard(index)
    return range(span.start, span.stop)


def test_shards_of_a_float_sum_do_not_depend_on_the_ranks() -> None:
    """Partial sums by shard, added in shard order, have the same bits on any number of ranks."""
    values = np.random.default_rng(5).standard_normal(1001) * 10.0 ** np.arange(1001) ** 0.3
    shards = Shards(len(values), 64)
    sums = set()
    for size in SIZES:
        partial = np.zeros(shards.count)
        for rank in range(size):
            rows = shards.rows(rank, size)
            local = values[rows.start : rows.stop]
            for index in shards.owned(rank, size):
                span = shards.shard(index)
                partial[index] = local[span.start - rows.start : span.stop - rows.start].sum()
        sums.add(float(partial.sum()).hex())
    assert len(sums) == 1


def test_more_ranks_than_shards_leave_some_with_nothing() -> None:
    shards = Shards(total=100, count=3)
    rows = [shards.rows(rank, 7) for rank in range(7)]
    assert sorted(len(span) for span in rows) == [0, 0, 0, 0, 33, 33, 34]
    assert sum(not shards.owned(rank, 7) for rank in range(7)) == 4


def test_row_numbers_above_64_bits_of_product_do_not_overflow() -> None:
    shards = Shards(total=2**62, count=4096)
    assert shards.shard(4095).stop == 2**62
    assert len(shards.shard(4095)) == 2**50
