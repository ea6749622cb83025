"""The kernels on tables: every twin equals its definition bit for bit."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hpcjobs.kernels import tabular
from hpcjobs.kernels.tabular import World

SHAPES = [(1, 1, 1), (2, 3, 1), (17, 4, 3), (30, 2, 5)]  # states, actions, kinds
LANES = [0, 1, 7, 300]


def world_of(states: int, actions: int, kinds: int) -> tuple[World, NDArray[np.float64]]:
    """A random environment, and its chances (states, actions, kinds), some of them 0."""
    draw = np.random.default_rng(states + kinds)
    chances = draw.dirichlet(np.ones(kinds), (states, actions)) if kinds > 1 else np.ones((states, actions, 1))
    outcomes = draw.integers(0, 2 * states, chances.shape).astype(np.int32)
    cumulative = np.ceil(chances.cumsum(axis=2) * 2.0**32).astype(np.uint64)
    starts = np.arange(0, states, 2, dtype=np.int32)
    start_limits = np.ceil(np.arange(1, len(starts) + 1) / len(starts) * 2.0**32).astype(np.uint64)
    world = World(outcomes, draw.normal(size=chances.shape), cumulative[..., :-1].copy(), starts, start_limits, 9)
    return world, chances


def equal(run: Callable[[Any], Any], kernel: Any) -> None:
    """Definition and twin return and leave the same; `run` calls one of them and tells what it left."""
    for found, expected in zip(run(kernel.twin(np.zeros(1))), run(kernel.reference), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("explore", [0, 2**31, 2**32])
def test_rollouts(shape: tuple[int, int, int], lanes: int, explore: int) -> None:
    world, _ = world_of(*shape)
    policy = np.random.default_rng(1).integers(0, shape[1], shape[0]).astype(np.int32)

    def run(rollout: Callable[..., None]) -> tuple[Any, ...]:
        state, elapsed = np.zeros(lanes, dtype=np.int32), np.arange(lanes, dtype=np.int32) % 9
        counts = np.zeros(world.outcomes.shape, dtype=np.int64)
        key, step, first = np.array([3, 4], dtype=np.uint32), np.uint64(2**32 - 5), np.uint64(77)
        rollout(state, elapsed, key, step, 40, first, np.uint64(explore), policy, world, counts)
        assert counts.sum() == 40 * lanes
        return state, elapsed, counts

    equal(run, tabular.rollout)


@pytest.mark.parametrize("lanes", [1, 5])
@pytest.mark.parametrize("step_size", [0.0, 0.2])
@pytest.mark.parametrize("shape", SHAPES)
def test_single_steps(shape: tuple[int, int, int], step_size: float, lanes: int) -> None:
    world, _ = world_of(*shape)

    def run(online: Callable[..., None]) -> tuple[Any, ...]:
        q, state, elapsed = np.zeros(shape[:2]), np.zeros(lanes, dtype=np.int32), np.zeros(lanes, dtype=np.int32)
        counts, visits = np.zeros(shape, dtype=np.int64), np.zeros(shape[:2], dtype=np.int64)
        key, half = np.array([3, 4], dtype=np.uint32), np.uint64(2**31)
        online(q, state, elapsed, key, np.uint64(5), 200, half, world, 0.9, 10, step_size, counts, visits)
        np.testing.assert_array_equal(counts.sum(axis=2), visits)
        return q, state, elapsed, counts

    equal(run, tabular.online)


@pytest.mark.parametrize("bonus", [0.0, 0.3])
@pytest.mark.parametrize("shape", SHAPES)
def test_sweeps(shape: tuple[int, int, int], bonus: float) -> None:
    world, chances = world_of(*shape)
    counts = np.random.default_rng(2).integers(0, 3, shape)
    for weights in (chances, counts):

        def run(sweep: Callable[..., float], weights: Any = weights) -> tuple[Any, ...]:
            q = np.full(shape[:2], 2.0)
            values = q.max(axis=1)
            changes = [sweep(values, weights, world, 0.9, bonus, q) for _ in range(5)]
            return changes, q, values

        equal(run, tabular.sweep)


@pytest.mark.parametrize("shape", SHAPES)
def test_evaluation(shape: tuple[int, int, int]) -> None:
    world, chances = world_of(*shape)
    policy = np.random.default_rng(1).integers(0, shape[1], shape[0]).astype(np.int32)

    def run(evaluate: Callable[..., None]) -> tuple[Any, ...]:
        values = np.zeros(shape[0])
        evaluate(values, policy, chances, world, 30)
        return (values,)

    equal(run, tabular.evaluate)


@pytest.mark.parametrize("step_size", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("most", [2, 9, 400])
@pytest.mark.parametrize("shape", SHAPES)
def test_blends(shape: tuple[int, int, int], most: int, step_size: float) -> None:
    world, _ = world_of(*shape)
    draw = np.random.default_rng(most)
    rounds = draw.integers(0, most, (4, *shape))

    def run(blend: Callable[..., None]) -> tuple[Any, ...]:
        q, visits = np.full(shape[:2], 3.0), np.zeros(shape[:2], dtype=np.int64)
        values = q.max(axis=1)
        for counts in rounds:
            blend(q, values, visits, counts, world, 0.9, 10, step_size)
        return q, values, visits

    equal(run, tabular.blend)


@pytest.mark.parametrize("before", [0, 1, 50])
@pytest.mark.parametrize("new", [1, 10, 11, 12, 300])
@pytest.mark.parametrize("step_size", [0.0, 0.05])
def test_a_batch_weighs_what_its_updates_would_one_by_one(before: int, new: int, step_size: float) -> None:
    memory, world = 10, World(*_one_pair(), 1)
    q, visits, values = np.array([[7.0]]), np.array([[before]]), np.array([7.0])
    tabular.blend(q, values, visits, np.array([[[new]]]), world, 0.9, memory, step_size)
    expected = 7.0
    for visit in range(before + 1, before + new + 1):
        alpha = step_size if step_size > 0 else (memory + 1) / (memory + visit)
        expected += alpha * (2.0 - expected)  # every target is the reward of 2
    assert q[0, 0] == pytest.approx(expected, abs=1e-12)
    assert visits[0, 0] == before + new


def _one_pair() -> tuple[Any, ...]:
    outcomes, rewards = np.array([[[1]]], dtype=np.int32), np.array([[[2.0]]])
    limits, starts = np.zeros((1, 1, 0), dtype=np.uint64), np.zeros(1, dtype=np.int32)
    return outcomes, rewards, limits, starts, np.array([2**32], dtype=np.uint64)


def test_equal_actions_are_chosen_equally_often_and_lesser_ones_never() -> None:
    q = np.tile(np.array([1.0, 3.0, 3.0, 2.0, 3.0]), (9000, 1))
    words = np.random.default_rng(0).integers(0, 2**32, len(q), dtype=np.uint32)
    found = [np.empty(len(q), dtype=np.int32) for _ in range(2)]
    tabular.greedy(q, words, found[0])
    tabular.greedy.reference(q, words, found[1])
    np.testing.assert_array_equal(*found)
    often = np.bincount(found[0], minlength=5)
    assert often[[0, 3]].sum() == 0
    assert (abs(often[[1, 2, 4]] - 3000) < 200).all()
