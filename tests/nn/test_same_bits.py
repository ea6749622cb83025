"""Training gives the same bits on any number of ranks, with batch normalisation and dropout as well."""

import numpy as np
import pytest
from clustering.threads_comm import on_ranks
from numpy.typing import NDArray

from hpcjobs.nn import gradients
from hpcjobs.nn.declared import BatchNorm, Conv, Dense, Dropout, Flatten, MaxPool, Relu, Residual
from hpcjobs.nn.network import build, first_parameters, first_statistics
from hpcjobs.nn.optimiser import Optimiser, first_moments
from hpcjobs.nn.passes import Batch
from hpcjobs.nn.training import Goal, Learner, Step, train_step
from hpcjobs.nn.transfer import frozen_layers
from hpcjobs.parallel.communicator import Communicator, SerialCommunicator
from hpcjobs.parallel.shards import Shards

LAYERS = (
    Conv(filters=4, padding="same", bias=False), BatchNorm(), Relu(), MaxPool(),
    Residual(layers=(Conv(filters=4, padding="same"), BatchNorm())), Relu(), Flatten(),
    Dense(units=7), Relu(), Dropout(rate=0.3), Dense(units=3),
)  # fmt: skip
SHARDS, ROWS = 8, 2
Found = tuple[NDArray[np.float32], NDArray[np.float64], list[Step]]


def trained(communicator: Communicator, shards: int = SHARDS, freeze: str | None = None) -> Found:
    """Parameters and statistics after some steps, and what was told of these."""
    network, optimiser = build(LAYERS, (6, 5, 2)), Optimiser("adamw", decay=0.1, clip=0.5)
    parameters, frozen = first_parameters(network, 1, "he", np.dtype(np.float32)), frozen_layers(network, freeze)
    learner = Learner(parameters, first_statistics(network), first_moments(optimiser, parameters))
    draw, told = np.random.default_rng(2), []
    for step in range(3):
        images = draw.normal(size=(shards, ROWS, 6, 5, 2)).astype(np.float32)
        targets = draw.integers(0, 3, (shards, ROWS))
        owned = Shards(shards * ROWS, shards).owned(communicator.rank, communicator.size)
        parts = [(images[shard], targets[shard], np.arange(ROWS) + shard * ROWS) for shard in owned]
        samples = [rows for _, _, rows in parts]
        batch = Batch(
            True, shards * ROWS, shards, samples, seed=4, step=step, communicator=communicator, frozen=frozen
        )  # fmt: skip
        goal = Goal("categorical", 0.1, (1.0, 2.0, 0.5))
        told.append(train_step(network, learner, optimiser, goal, parts, batch, 0.01))
    return parameters, learner.statistics, told


def same(found: Found, expected: Found) -> None:
    np.testing.assert_array_equal(found[0].view(np.uint32), expected[0].view(np.uint32))
    np.testing.assert_array_equal(found[1], expected[1])
    assert found[2] == expected[2]


# Where every layer travels alone, and where all travel together at the end.
@pytest.mark.parametrize("least", [0, gradients.LEAST])
@pytest.mark.parametrize("freeze", [None, "conv_1,residual_1"])
@pytest.mark.parametrize("shards", [8, 5])
def test_any_number_of_ranks_gives_the_same_network(
    shards: int, freeze: str | None, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (expected,) = on_ranks(1, lambda communicator: trained(communicator, shards, freeze))
    monkeypatch.setattr(gradients, "LEAST", least)
    for ranks in (2, 3, 4, 5, 8, 11):
        for found in on_ranks(ranks, lambda communicator: trained(communicator, shards, freeze)):
            same(found, expected)


@pytest.mark.mpi(ranks=(2, 3))
def test_ranks_of_mpi_give_the_same_network(monkeypatch: pytest.MonkeyPatch) -> None:
    from hpcjobs.parallel.mpi import MPICommunicator

    for least in (0, gradients.LEAST):
        monkeypatch.setattr(gradients, "LEAST", least)
        same(trained(MPICommunicator()), trained(SerialCommunicator()))


def test_statistics_are_those_of_the_whole_batch() -> None:
    network = build((BatchNorm(momentum=0.0), Flatten(), Dense(units=1)), (3, 2, 2))
    images = np.random.default_rng(1).normal(3, 2, size=(4, 3, 3, 2, 2))
    moments = {"velocity": np.zeros(network.size)}
    learner = Learner(first_parameters(network, 0, "he", np.dtype(np.float64)), first_statistics(network), moments)
    parts = [(shard, np.zeros(3), np.arange(3)) for shard in images]
    batch = Batch(True, 12, 4, [rows for _, _, rows in parts])
    train_step(network, learner, Optimiser("sgd"), Goal("mse"), parts, batch, 0.0)
    whole = images.reshape(-1, 2)
    np.testing.assert_allclose(learner.statistics, [*whole.mean(axis=0), *whole.var(axis=0, ddof=1)], rtol=1e-12)


@pytest.mark.parametrize("ranks", [1, 3])
def test_numbers_that_are_not_finite_are_traced_to_their_layer(ranks: int) -> None:
    def bad(communicator: Communicator) -> list[str]:
        network = build((Conv(filters=2, name="first"), Flatten(), Dense(units=1)), (4, 4, 1))
        found = []
        for where in ("image", "first", "dense_1"):
            parameters = first_parameters(network, 0, "he", np.dtype(np.float32))
            for node, block in network.parameters():
                if node.name == where:
                    parameters[block.start] = np.nan
            images = np.ones((4, 1, 4, 4, 1), dtype=np.float32)
            images[3] = np.nan if where == "image" else 1
            owned = Shards(4, 4).owned(communicator.rank, communicator.size)
            parts = [(images[shard], np.zeros(1), np.array([shard])) for shard in owned]
            batch = Batch(True, 4, 4, [rows for _, _, rows in parts], communicator=communicator)
            moments = {"velocity": np.zeros(network.size, dtype=np.float32)}
            learner = Learner(parameters, first_statistics(network), moments)
            found.append(train_step(network, learner, Optimiser("sgd"), Goal("binary"), parts, batch, 0.1).bad)
        return found

    for found in on_ranks(ranks, bad):
        assert found == ["the images", "layer first", "layer dense_1"]
