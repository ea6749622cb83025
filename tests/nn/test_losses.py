"""Losses by their formulas, their slopes by differences; schedules and optimisers at their corners."""

import math

import numpy as np
import pytest

from hpcjobs.nn.losses import KINDS, loss_of, probabilities
from hpcjobs.nn.measures import roc_auc
from hpcjobs.nn.optimiser import Optimiser, first_moments, update
from hpcjobs.nn.schedule import Schedule, rate
from hpcjobs.nn.training import Goal, right, weighted


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("kind", KINDS)
def test_slopes_are_those_of_differences(kind: str, smoothing: float) -> None:
    draw = np.random.default_rng(0)
    z = draw.normal(size=(6, 4 if kind == "categorical" else 1)) * 3
    targets = draw.integers(0, 4 if kind == "categorical" else 2, 6).astype(np.float64)
    _, slopes = loss_of(kind, z, targets, smoothing)
    for column in range(z.shape[1]):
        step = np.zeros_like(z)
        step[:, column] = 1e-6
        ahead, behind = (loss_of(kind, z + sign * step, targets, smoothing)[0] for sign in (1, -1))
        np.testing.assert_allclose(slopes[:, column], (ahead - behind) / 2e-6, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", ["binary", "categorical"])
def test_loss_is_the_cross_entropy_of_the_smoothed_target(kind: str) -> None:
    z, targets = np.array([[0.3, -2.0, 5.0], [900.0, 0.0, -900.0]]), np.array([2, 0])
    z = z[:, :1] if kind == "binary" else z
    targets = np.minimum(targets, 1) if kind == "binary" else targets
    shares = probabilities(kind, z)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    classes = shares.shape[1]
    wanted = np.eye(classes)[targets] * 0.9 + 0.1 / classes
    losses, _ = loss_of(kind, z, targets, 0.1)
    assert np.isfinite(losses).all()
    np.testing.assert_allclose(losses[0], -(wanted[0] * np.log(shares[0])).sum(), rtol=1e-12)


@pytest.mark.parametrize("kind", ["binary", "categorical"])
def test_a_mixed_label_is_a_share_of_two_losses(kind: str) -> None:
    """Cross-entropy is linear in its targets, and a class counts by its weight times its share."""
    draw = np.random.default_rng(1)
    z = draw.normal(size=(5, 3 if kind == "categorical" else 1))
    first, second, shares = np.array([0, 1, 1, 0, 1]), np.array([1, 1, 0, 0, 0]), draw.random(5)
    mixed = shares * first + (1 - shares) * second
    targets = mixed
    if kind == "categorical":
        targets = shares[:, None] * np.eye(3)[first] + (1 - shares)[:, None] * np.eye(3)[second]
    (losses, slopes), pure = loss_of(kind, z, targets, 0.1), [loss_of(kind, z, one, 0.1) for one in (first, second)]
    np.testing.assert_allclose(losses, shares * pure[0][0] + (1 - shares) * pure[1][0], rtol=1e-12)
    part = shares[:, None]
    np.testing.assert_allclose(slopes, part * pure[0][1] + (1 - part) * pure[1][1], rtol=1e-12, atol=1e-15)
    goal = Goal(kind, 0.1, (2.0, 5.0, 1.0) if kind == "categorical" else (2.0, 5.0))
    heavy = 2.0 + 3.0 * mixed
    np.testing.assert_allclose(weighted(goal, z, targets)[0], heavy * losses, rtol=1e-12)
    hit = probabilities(kind, z).argmax(axis=1) == (mixed > 0.5)
    np.testing.assert_array_equal(right(goal, z, targets), hit)


def test_schedules() -> None:
    assert [rate(Schedule("constant", 2.0, warmup=4), step) for step in range(5)] == [0.5, 1.0, 1.5, 2.0, 2.0]
    assert [rate(Schedule("step", 1.0, every=2, factor=0.5), step) for step in range(5)] == [1, 1, 0.5, 0.5, 0.25]
    cosine = Schedule("cosine", 1.0, total=10)
    assert rate(cosine, 0) == 1.0
    assert math.isclose(rate(cosine, 5), 0.5)
    assert rate(cosine, 10) == 0.0


def test_a_long_gradient_is_shortened() -> None:
    parameters, gradient = np.zeros(2), np.array([30.0, 40.0])
    optimiser = Optimiser("sgd", momentum=0.0, clip=5.0)
    update(optimiser, parameters, gradient, first_moments(optimiser, parameters), 1, 1.0)
    np.testing.assert_allclose(parameters, [-3.0, -4.0])


def test_ties_count_half_under_the_roc_curve() -> None:
    assert roc_auc(np.array([True, False]), np.array([0.5, 0.5])) == 0.5
    assert roc_auc(np.array([True, False, True]), np.array([0.9, 0.5, 0.5])) == 0.75
    assert math.isnan(roc_auc(np.array([True, True]), np.array([0.1, 0.2])))
