"""Layers that are not trained: they stay in every bit, cost no backward pass, and let gradients through."""

import numpy as np
import pytest
from nn.differences import slopes
from numpy.typing import NDArray

from hpcjobs.errors import SettingsError
from hpcjobs.nn.declared import BatchNorm, Conv, Dense, Flatten, Layer, Relu, Residual
from hpcjobs.nn.network import Network, build, first_parameters, first_statistics, view
from hpcjobs.nn.optimiser import Optimiser, first_moments
from hpcjobs.nn.passes import Batch, backward, forward
from hpcjobs.nn.training import Goal, Learner, train_step
from hpcjobs.nn.transfer import frozen_layers, trained_parts

SHAPE = (6, 5, 2)
PLAIN: tuple[Layer, ...] = (Conv(filters=3), Relu(), Conv(filters=2), Relu(), Flatten(), Dense(units=3))
NORMED: tuple[Layer, ...] = (
    Conv(filters=3), BatchNorm(), Relu(), Residual(layers=(Conv(filters=3, padding="same"), BatchNorm())), Flatten(),
    Dense(units=3),
)  # fmt: skip


def stepped(
    layers: tuple[Layer, ...], freeze: str | None, optimiser: Optimiser, steps: int = 1
) -> tuple[Network, NDArray[np.float32], NDArray[np.float64], NDArray[np.float32]]:
    """The network, its parameters and statistics after some steps, and its first parameters."""
    network = build(layers, SHAPE)
    parameters = first_parameters(network, 1, "he", np.dtype(np.float32))
    first, draw = parameters.copy(), np.random.default_rng(3)
    learner = Learner(parameters, first_statistics(network), first_moments(optimiser, parameters))
    for step in range(steps):
        rows = [np.arange(2), np.arange(2, 4)]
        shards = [(draw.normal(size=(2, *SHAPE)).astype(np.float32), draw.integers(0, 3, 2), one) for one in rows]
        batch = Batch(True, 4, 2, rows, step=step, frozen=frozen_layers(network, freeze))
        train_step(network, learner, optimiser, Goal("categorical"), shards, batch, 0.1)
    return network, parameters, learner.statistics, first


@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("freeze", ["2", "conv_1,batch_norm_1", "residual_1", "batch_norm_2,dense_1"])
def test_frozen_layers_stay_in_every_bit_and_the_others_learn(freeze: str, kind: str) -> None:
    network, parameters, statistics, first = stepped(NORMED, freeze, Optimiser(kind, decay=0.1, clip=0.5), 3)
    frozen = frozen_layers(network, freeze)
    for node, block in network.parameters():
        same = (view(parameters, block) == view(first, block)).all()
        assert same == (node.name in frozen), f"{node.name} {block.name}"
    for node, block in network.statistics():
        same = (view(statistics, block) == view(first_statistics(network), block)).all()
        assert same == (node.name in frozen), f"{node.name} {block.name}"


def test_a_step_of_the_other_layers_is_that_of_the_whole_network() -> None:
    network, frozen, _, _ = stepped(PLAIN, "1", Optimiser("sgd"))
    _, whole, _, first = stepped(PLAIN, None, Optimiser("sgd"))
    start = network.parameters()[2][1].start  # behind weights and bias of conv_1
    np.testing.assert_array_equal(frozen[start:], whole[start:])
    np.testing.assert_array_equal(frozen[:start], first[:start])
    assert (whole[:start] != first[:start]).any()


def test_nothing_is_computed_below_the_lowest_layer_that_is_trained() -> None:
    network = build(PLAIN, SHAPE)
    x = np.random.default_rng(1).normal(size=(2, *SHAPE)).astype(np.float32)
    parameters = first_parameters(network, 1, "he", np.dtype(np.float32))
    batch = Batch(True, 2, frozen=frozen_layers(network, "2"))
    (y,), traces = forward(network.nodes, [x], parameters, first_statistics(network), batch)
    gradient = np.full(network.size, np.nan, dtype=np.float32)
    backward(traces, [np.ones_like(y)], parameters, [gradient], batch)
    (part, _) = trained_parts(network, batch.frozen)[0]
    assert np.isnan(gradient[: part.start]).all()
    assert np.isfinite(gradient[part]).all()


@pytest.mark.parametrize("frozen", [{"batch_norm_1"}, {"conv_2", "batch_norm_2"}, {"residual_1", "conv_2"}])
def test_gradients_go_through_frozen_layers(frozen: set[str]) -> None:
    ours, quotient, ours_x, quotient_x = slopes(NORMED, SHAPE, (2, 1), frozenset(frozen))
    np.testing.assert_allclose(ours, quotient, rtol=2e-6, atol=1e-7)
    np.testing.assert_allclose(ours_x, quotient_x, rtol=2e-6, atol=1e-7)


def test_a_layer_learns_at_its_own_multiple_of_the_rate() -> None:
    slow = (Conv(filters=3, learning_rate=0.25), *PLAIN[1:])
    network, parameters, _, first = stepped(slow, None, Optimiser("sgd"))
    _, whole, _, _ = stepped(PLAIN, None, Optimiser("sgd"))
    start = network.parameters()[2][1].start
    np.testing.assert_allclose(parameters[:start] - first[:start], 0.25 * (whole - first)[:start], rtol=1e-4, atol=1e-8)
    np.testing.assert_array_equal(parameters[start:], whole[start:])


@pytest.mark.parametrize(
    ("freeze", "words"),
    [("conv_3", ["conv_3", "conv_2"]), ("3", ["nothing to train", "dense_1"]), ("9", ["nothing"]), ("", ["no layer"])],
)
def test_what_cannot_be_frozen_is_named(freeze: str, words: list[str]) -> None:
    with pytest.raises(SettingsError) as found:
        frozen_layers(build(PLAIN, SHAPE), freeze)
    for word in ("--freeze", *words):
        assert word in str(found.value)
