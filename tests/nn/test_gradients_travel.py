"""How gradients travel: which layers go together, when they go, and what room they take."""

import numpy as np
import pytest
from clustering.threads_comm import on_ranks

from hpcjobs.nn.blocks import Blocks
from hpcjobs.nn.declared import BatchNorm, Conv, Dense, Flatten, Layer, Relu, Residual
from hpcjobs.nn.gradients import Gradients, buckets, gradient_rows
from hpcjobs.nn.network import Network, build
from hpcjobs.nn.passes import Batch
from hpcjobs.nn.room import Room
from hpcjobs.nn.transfer import frozen_layers
from hpcjobs.parallel.communicator import Communicator
from hpcjobs.parallel.shards import Span, piece

LAYERS: tuple[Layer, ...] = (
    Conv(filters=3), BatchNorm(), Relu(), Residual(layers=(Conv(filters=3, padding="same"), BatchNorm())), Flatten(),
    Dense(units=9), Dense(units=2),
)  # fmt: skip


def network_of_six() -> Network:
    return build(LAYERS, (6, 5, 2))


@pytest.mark.parametrize("least", [0, 1, 30, 200, 10**6])
@pytest.mark.parametrize("freeze", [None, "conv_1", "conv_2,dense_1", "batch_norm_1,residual_1"])
def test_every_layer_that_is_trained_travels_once_from_the_last_to_the_first(freeze: str | None, least: int) -> None:
    network = network_of_six()
    frozen = frozen_layers(network, freeze)
    found = buckets(network, frozen, least)
    numbers = [number for bucket in found for number in reversed(range(bucket.run.start, bucket.run.stop))]
    wanted = [
        number
        for node, block in reversed(network.parameters())
        if node.name not in frozen
        for number in reversed(range(block.start, block.stop))
    ]
    assert numbers == wanted
    assert sorted(name for bucket in found for name in bucket.layers) == sorted(
        {node.name for node, _ in network.parameters()} - frozen
    )
    if freeze is None:
        assert all(bucket.run.stop - bucket.run.start >= least for bucket in found[:-1])


def test_layers_travel_alone_or_together() -> None:
    network = network_of_six()
    assert len(buckets(network, frozenset(), 0)) == 6
    assert len(buckets(network, frozenset(), network.size)) == 1


@pytest.mark.parametrize("ranks", [1, 2, 3, 11])
def test_the_whole_gradient_is_the_sum_of_blocks_whatever_is_frozen(ranks: int) -> None:
    network, shards = network_of_six(), 8
    frozen = frozen_layers(network, "conv_2,dense_1")

    def whole(communicator: Communicator) -> np.ndarray:
        batch = Batch(True, shards, shards, communicator=communicator, frozen=frozen)
        for _ in range(2):  # in the room of the step before
            gradients = Gradients(network, batch, np.dtype(np.float64))
            assert len(gradients.blocks) == batch.blocks.count()
            for gradient in gradients.blocks:
                gradient[...] = np.arange(network.size)
            for node in reversed(network.every()):
                gradients.done(node)
            found = gradients.total().copy()
        return found

    blocks = sum(Blocks(shards, piece(shards, ranks, rank)).count() for rank in range(ranks))
    expected = np.arange(network.size) * float(blocks)
    for node, block in network.parameters():
        if node.name in frozen:
            expected[block.start : block.stop] = 0
    for found in on_ranks(ranks, whole):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("own", "expected"),
    [((0, 8), [(0, 8)]), ((2, 5), [(2, 4), (4, 5)]), ((5, 8), [(5, 6), (6, 8)]), ((3, 3), [])],
)
def test_what_shards_write_is_added_to_their_block(own: tuple[int, int], expected: list[tuple[int, int]]) -> None:
    blocks, room = Blocks(8, Span(*own)), Room()
    sums = [np.full((2, 3), np.nan) for _ in range(blocks.count())]
    for _ in range(2):
        with blocks.adding(sums, room) as parts:
            for shard, part in zip(range(*own), parts, strict=True):
                part[...] = 10.0**shard
    assert [one.tolist() for one in sums] == [
        np.full((2, 3), sum(10.0**shard for shard in range(*run))).tolist() for run in expected
    ]


def test_room_for_gradients_is_that_of_blocks_and_of_a_slice_of_the_others() -> None:
    assert gradient_rows(8, 1) == 1
    assert gradient_rows(8, 2) == 2  # its own block, half of the other one
    assert gradient_rows(8, 8) == 2
    assert gradient_rows(8, 3) == 2 + 1  # two blocks, a third of three others
    assert gradient_rows(1, 3) == 2
