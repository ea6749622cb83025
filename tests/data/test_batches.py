"""Batches are the same from memory and from the file, from any step on, and whole."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from clustering.threads_comm import on_ranks

from hpcjobs.data.batches import Loader, hold
from hpcjobs.data.labels import locate_images
from hpcjobs.data.order import Order
from hpcjobs.data.source import Source
from hpcjobs.errors import DataError
from hpcjobs.parallel.communicator import SerialCommunicator
from hpcjobs.parallel.shards import Shards

ROWS, SHAPE = 211, (4, 3, 3)
Batch = dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]]


def images() -> np.ndarray:
    """Row r holds r in its first two values, and noise."""
    values = np.random.default_rng(1).integers(0, 256, (ROWS, *SHAPE)).astype(np.uint8)
    values.reshape(ROWS, -1)[:, 0] = np.arange(ROWS) % 256
    return values


@pytest.fixture(params=["contiguous", "chunked", "float64"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        if request.param == "chunked":
            file.create_dataset("x", data=images(), chunks=(10, *SHAPE), compression="gzip")
        else:
            file["x"] = images() if request.param == "contiguous" else images().astype(np.float64)
    return locate_images(str(tmp_path / "a.h5"))


def loader(source: Source, order: Order, held: bool, steps: int | None = None) -> Loader:
    rows = hold(source, SerialCommunicator()) if held else None
    return Loader(source, np.arange(ROWS) * 10, order, steps_per_epoch=steps, held=rows)


def batch(loader: Loader, epoch: int, step: int, ranks: int = 1) -> Batch:
    """The shards of one batch as some ranks would ask for them, the last rank first."""
    owned = [Shards(0, loader.order.shards).owned(rank, ranks) for rank in reversed(range(ranks))]
    return {shard: loader.shard(epoch, step, shard) for run in owned for shard in run}


def equal(one: Batch, other: Batch) -> None:
    for shard in one:
        for left, right in zip(one[shard], other[shard], strict=True):
            assert left.dtype == right.dtype
            np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("block", [1, 9])
def test_every_batch_is_what_its_row_numbers_say(source: Source, block: int) -> None:
    order = Order(ROWS, 24, 4, block, 3, seed=5)
    known = images().astype(np.float32)
    with loader(source, order, held=False) as streamed, loader(source, order, held=True) as held:
        assert streamed.steps_per_epoch == held.steps_per_epoch == 8
        for epoch in (0, 1):
            seen = []
            for step in range(held.steps_per_epoch):
                found = batch(held, epoch, step)
                equal(found, batch(streamed, epoch, step, ranks=3))
                for x, y, sample in found.values():
                    assert x.shape == (6, *SHAPE) and x.dtype == np.float32 and sample.dtype == np.int64
                    np.testing.assert_array_equal(x, known[sample])
                    np.testing.assert_array_equal(y, sample * 10)
                    seen.extend(sample.tolist())
            assert len(seen) == len(set(seen)) == 192


def test_any_step_can_come_first(source: Source) -> None:
    order = Order(ROWS, 24, 4, 9, 3)
    with loader(source, order, held=False) as whole:
        steps = {(epoch, step): batch(whole, epoch, step) for epoch in range(2) for step in range(8)}
    for (epoch, step), expected in reversed(steps.items()):
        with loader(source, order, held=False) as begun:
            equal(batch(begun, epoch, step, ranks=5), expected)


@pytest.mark.parametrize("steps", [3, 20], ids=["shorter", "longer"])
def test_an_epoch_of_another_length_goes_on_where_the_last_one_ended(source: Source, steps: int) -> None:
    order = Order(ROWS, 24, 4, 9, 3)
    with loader(source, order, held=True, steps=steps) as given, loader(source, order, held=True) as usual:
        assert given.steps_per_epoch == steps
        for number in range(40):
            equal(batch(given, *divmod(number, steps)), batch(usual, *divmod(number, order.steps)))


def test_what_does_not_fit_is_not_held(source: Source) -> None:
    total = source.rows * source.row_bytes
    assert hold(source, SerialCommunicator(), total - 1) is None
    held = hold(source, SerialCommunicator(), total)
    assert held is not None and held.shape == (ROWS, *SHAPE)


@pytest.mark.parametrize("held", [True, False])
def test_an_image_with_nan_is_named(tmp_path: Path, held: bool) -> None:
    values = images().astype(np.float32)
    values[17, 1, 1, 1] = np.nan
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = values
        file["id"] = np.arange(ROWS) + 1000
    source = locate_images(f"{tmp_path}/a.h5:/x")
    with pytest.raises(DataError, match=r"a.h5:/x: the image of id 1017 holds NaN or infinite values; mend"):
        with loader(source, Order(ROWS, 24, 4, 9), held=held) as found:
            for step in range(16):
                batch(found, 0, step)


def test_ranks_agree_on_what_is_held(source: Source) -> None:
    held = on_ranks(3, lambda communicator: hold(source, communicator))
    assert all(np.array_equal(rows, held[0]) for rows in held)


def test_a_thread_reads_the_next_pool_meanwhile(source: Source) -> None:
    order = Order(ROWS, 24, 1, 9, 3)
    with loader(source, order, held=False) as found:
        found.shard(0, 0, 0)
        key, future = found._ahead[0]
        assert key == (0, 1)
        np.testing.assert_array_equal(future.result(30).numbers, order.pool_of(0, 0, 1))
