"""Training gives the same bits on any number of ranks, with batch normalisation and dropout as well."""

import numpy as np
import pytest
from clustering.threads_comm import on_ranks
from numpy.typing import NDArray

from hpcjobs.nn.declared import BatchNorm, Conv, Dense, Dropout, Flatten, MaxPool, Relu, Residual
from hpcjobs.nn.network import build, first_parameters, first_statistics
from hpcjobs.nn.optimiser import Optimiser, first_moments
from hpcjobs.nn.passes import Batch
from hpcjobs.nn.training import Goal, Learner, Step, train_step
from hpcjobs.parallel.communicator import Communicator
from hpcjobs.parallel.shards import Shards

LAYERS = (
    Conv(filters=4, padding="same", bias=False), BatchNorm(), Relu(), MaxPool(),
    Residual(layers=(Conv(filters=4, padding="same"), BatchNorm())), Relu(), Flatten(),
    Dense(units=7), Relu(), Dropout(rate=0.3), Dense(units=3),
)  # fmt: skip
SHARDS, ROWS = 8, 2


def trained(communicator: Communicator, steps: int = 3) -> tuple[NDArray[np.float32], NDArray[np.float64], list[Step]]:
    """Parameters and statistics after some steps, and what was told of these."""
    network, optimiser = build(LAYERS, (6, 5, 2)), Optimiser("adamw", decay=0.1, clip=0.5)
    parameters = first_parameters(network, 1, "he", np.dtype(np.float32))
    learner = Learner(parameters, first_statistics(network), first_moments(optimiser, parameters))
    draw, told = np.random.default_rng(2), []
    for step in range(steps):
        images = draw.normal(size=(SHARDS, ROWS, 6, 5, 2)).astype(np.float32)
        targets = draw.integers(0, 3, (SHARDS, ROWS))
        owned = Shards(SHARDS * ROWS, SHARDS).owned(communicator.rank, communicator.size)
        parts = [(images[shard], targets[shard], np.arange(ROWS) + shard * ROWS) for shard in owned]
        samples = [rows for _, _, rows in parts]
        batch = Batch(True, SHARDS * ROWS, SHARDS, samples, seed=4, step=step, communicator=communicator)
        goal = Goal("categorical", 0.1, (1.0, 2.0, 0.5))
        told.append(train_step(network, learner, optimiser, goal, parts, batch, 0.01))
    return parameters, learner.statistics, told


@pytest.mark.parametrize("ranks", [2, 3, 4, 8, 9])
def test_any_number_of_ranks_gives_the_same_network(ranks: int) -> None:
    (expected,) = on_ranks(1, trained)
    for parameters, statistics, told in on_ranks(ranks, trained):
        np.testing.assert_array_equal(parameters.view(np.uint32), expected[0].view(np.uint32))
        np.testing.assert_array_equal(statistics, expected[1])
        assert told == expected[2]


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
