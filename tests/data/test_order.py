"""Every row comes exactly once a pass, in an order that the settings alone define."""

import hashlib

import numpy as np
import pytest

from hpcjobs.data.order import BLOCK_BYTES, Order, order_for
from hpcjobs.errors import SettingsError


def draws(count: int) -> list[Order]:
    """Orders of all kinds, drawn at random."""
    draw = np.random.default_rng(12)
    found = []
    for _ in range(count):
        shards = int(draw.integers(1, 9))
        batch = shards * int(draw.integers(1, 7))
        rows = int(draw.integers(batch, 300))
        block, pool, seed = int(draw.integers(1, 40)), int(draw.integers(1, 9)), int(draw.integers(100))
        found.append(Order(rows, batch, shards, block, pool, seed))
    return found


def run_of(order: Order, number: int, shard: int) -> np.ndarray:
    return np.concatenate([order.pool_of(number, shard, pool) for pool in range(order.pools)])


@pytest.mark.parametrize("order", draws(60), ids=str)
def test_each_row_comes_exactly_once_a_pass(order: Order) -> None:
    for number in (0, 1, 2**40):
        runs = [run_of(order, number, shard) for shard in range(order.shards)]
        rows = np.concatenate(runs)
        assert len(np.unique(rows)) == len(rows) == order.steps * order.batch
        assert 0 <= rows.min() and rows.max() < order.rows
        assert {len(run) for run in runs} == {order.rows // order.batch * order.shard_rows}


def test_the_exact_order_is_the_documented_one() -> None:
    order = Order(rows=1000, batch=80, shards=8, seed=3)
    key = np.frombuffer(hashlib.sha256(b"3:epoch order").digest()[:16], "<u8")
    keys = np.random.Philox(key=key, counter=[0, 0, 5, 0]).random_raw(1000)
    expected = np.argsort(keys, kind="stable")[:960]
    np.testing.assert_array_equal(np.concatenate([run_of(order, 5, shard) for shard in range(8)]), expected)


def test_passes_and_seeds_differ_and_leave_out_other_rows() -> None:
    orders = [(Order(1003, 100, 4, block=7, seed=seed), number) for seed in (0, 1) for number in (0, 1)]
    runs = [np.concatenate([run_of(order, number, shard) for shard in range(4)]) for order, number in orders]
    left_out = {tuple(np.setdiff1d(np.arange(1003), run)) for run in runs}
    assert len(left_out) == 4 and len({tuple(run) for run in runs}) == 4


def test_a_pool_reads_few_whole_blocks() -> None:
    order = Order(rows=10_000, batch=80, shards=8, block=50, pool=4)
    for pool in range(order.pools):
        rows = np.sort(order.pool_of(0, 2, pool))
        assert len(np.unique(rows // 50)) <= 5
        assert (np.diff(rows) != 1).sum() <= 5


def test_rows_of_a_pool_are_mixed() -> None:
    rows = Order(rows=10_000, batch=80, shards=8, block=50, pool=8).pool_of(0, 0, 0)
    assert abs(np.corrcoef(rows, np.arange(len(rows)))[0, 1]) < 0.2
    assert len(np.unique(rows[:40] // 50)) >= 6


def test_small_sets_are_put_in_exact_order_and_large_ones_by_blocks_of_a_mebibyte() -> None:
    assert order_for(25_000, 67_500, 32, 8).block == 1
    order = order_for(2_000_000, 67_500, 32, 8)
    assert order.block == 16 and order.block * 67_500 >= BLOCK_BYTES
    assert order_for(1000, 2**22, 4, 2).block == 1


@pytest.mark.parametrize(
    ("batch", "shards", "told"),
    [(30, 8, "--batch-size is 30, which --shards 8 do not divide"),
     (800, 8, "--batch-size is 800, but there are 100 rows; take at most 96"),
     (200, 200, "--batch-size is 200, but there are 100 rows; take less, and fewer --shards")],
)  # fmt: skip
def test_batches_that_cannot_be_cut_are_refused(batch: int, shards: int, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        order_for(100, 1, batch, shards)
