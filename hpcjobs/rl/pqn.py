"""Deep Q-learning in rounds, without replay and without a target network: parallel Q-learning with lambda returns.

M. Gallici et al., "Simplifying deep temporal difference learning", ICLR 2025. Environments lie in shards over the
ranks; each round they follow one frozen network, then it learns from what they saw. Gradients of the shards are added
up in the one fixed tree, so that ranks cannot change their bits. An episode that was cut off is worth what the network
says of the state in which it was.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels import mlp as kernel
from hpcjobs.nn import mlp, radam
from hpcjobs.parallel.communicator import Communicator
from hpcjobs.parallel.randomness import words
from hpcjobs.parallel.reduction import tree_sum
from hpcjobs.parallel.shards import Shards, Span, piece
from hpcjobs.rl.novelty import Novelty
from hpcjobs.rl.simulator import Simulator, below, first_states, words_of_steps

Floats = NDArray[np.float32]
KEPT = ("parameters", "first", "second")
AT_ONCE = 64  # steps whose random words are drawn together


@dataclass(frozen=True)
class Deep:
    """How to learn."""

    seed: int
    gamma: float
    trace: float  # lambda: how far returns look ahead before they trust the network
    environments: int
    shards: int
    round_steps: int
    epochs: int
    batches: int  # minibatches of an epoch
    rate: float  # falls to 0 in a straight line
    rounds: int  # in which it does
    clip: float
    epsilon: float
    exploring_rounds: float  # in which the share of random actions falls from 1 to epsilon
    reward_scale: float
    bonus: float  # of a cell that is new; see novelty.py
    hidden: tuple[int, ...]

    @property
    def steps_of_round(self) -> int:
        """Environment steps of one round."""
        return self.environments * self.round_steps

    def exploring(self, rounds: int) -> float:
        """The share of random actions in the round after `rounds`."""
        if rounds >= self.exploring_rounds:
            return self.epsilon
        return 1 + (self.epsilon - 1) * (rounds / self.exploring_rounds)


@dataclass(frozen=True)
class Seen:
    """What the environments of a rank saw in a round: arrays (steps, lanes, ...)."""

    features: Floats
    action: NDArray[np.int32]
    reward: Floats
    after: Floats  # features of the state that the step led to, before another episode began
    value: Floats  # what the network says of that state
    terminated: NDArray[np.bool_]
    over: NDArray[np.bool_]  # terminated, or cut off


@dataclass
class Brain:
    """All that changes; what ranks share has the same bits on each of them."""

    rounds: int
    updates: int
    parameters: Floats
    first: Floats
    second: Floats
    novelty: NDArray[np.int64]  # how often each cell was seen
    shards: Shards
    own: range  # shards of this rank
    rows: Span  # environments of this rank
    inner: NDArray[np.float64]  # (numbers, own environments)
    elapsed: NDArray[np.int64]

    def gather(self, communicator: Communicator) -> dict[str, NDArray[Any]]:
        """What a checkpoint holds. Collective."""
        everywhere = np.zeros((len(self.inner) + 1, self.shards.total), dtype=np.int64)
        mine = slice(self.rows.start, self.rows.stop)
        everywhere[:-1, mine], everywhere[-1, mine] = self.inner.view(np.int64), self.elapsed
        communicator.allreduce_sum(everywhere)
        shared = {name: getattr(self, name) for name in (*KEPT, "novelty")}
        return shared | {"environments": everywhere, "updates": np.array(self.updates)}


def network(simulator: Simulator, hidden: tuple[int, ...]) -> mlp.Mlp:
    """The network: from the numbers of an observation to a value of each action."""
    assert simulator.features is not None
    one = simulator.features(simulator.start(np.zeros((4, 1), dtype=np.uint32)))
    return mlp.lay_out((one.shape[1], *hidden, len(simulator.actions)))


def begin(deep: Deep, simulator: Simulator, net: mlp.Mlp, novelty: Novelty) -> dict[str, NDArray[Any]]:
    """The state before the first round."""
    inner = first_states(simulator, deep.seed, "deep", 0, deep.environments)
    parameters = mlp.first_parameters(net, deep.seed)
    return {
        "parameters": parameters,
        "first": np.zeros_like(parameters),
        "second": np.zeros_like(parameters),
        "novelty": np.zeros(novelty.cells, dtype=np.int64),
        "environments": np.vstack([inner.view(np.int64), np.zeros((1, deep.environments), dtype=np.int64)]),
        "updates": np.array(0),
    }


def restore(deep: Deep, state: Mapping[str, NDArray[Any]], rounds: int, communicator: Communicator) -> Brain:
    """Where a rank stands, from what `begin` or a checkpoint tells."""
    shards = Shards(deep.environments, deep.shards)
    rows = shards.rows(communicator.rank, communicator.size)
    lanes = np.ascontiguousarray(state["environments"][:, rows.start : rows.stop])
    return Brain(
        rounds=rounds,
        updates=int(state["updates"]),
        **{name: state[name].copy() for name in KEPT},
        novelty=state["novelty"].copy(),
        shards=shards,
        own=shards.owned(communicator.rank, communicator.size),
        rows=rows,
        inner=lanes[:-1].view(np.float64).copy(),
        elapsed=lanes[-1].copy(),
    )


def play(
    deep: Deep, simulator: Simulator, net: mlp.Mlp, novelty: Novelty, brain: Brain, communicator: Communicator
) -> None:
    """One round. Collective."""
    seen = rollout(deep, simulator, net, brain)
    if deep.bonus:
        cells = novelty.cell(seen.after.reshape(-1, seen.after.shape[-1]))
        bonus = novelty.bonus(brain.novelty[cells], deep.bonus, brain.rounds / deep.rounds)
        seen.reward[...] += bonus.reshape(seen.reward.shape)
        fresh = np.bincount(cells, minlength=novelty.cells)
        communicator.allreduce_sum(fresh)
        brain.novelty += fresh
    target = lambda_returns(deep, seen)
    rate = deep.rate * max(0.0, 1 - brain.rounds / deep.rounds)
    for epoch in range(deep.epochs):
        _epoch(deep, net, brain, seen, target, brain.rounds * deep.epochs + epoch, rate, communicator)
    brain.rounds += 1


def rollout(deep: Deep, simulator: Simulator, net: mlp.Mlp, brain: Brain) -> Seen:
    """Play all environments of this rank for a round, side by side: none knows of the others."""
    assert simulator.features is not None
    inner, elapsed = brain.inner, brain.elapsed
    steps, lanes, actions = deep.round_steps, len(brain.rows), len(simulator.actions)
    coin, random, starts = (
        words_of_steps(deep.seed, f"deep {purpose}", brain.rounds * steps + 1, steps, brain.rows.start, lanes)
        for purpose in ("actions", "steps", "starts")
    )
    by_chance, drawn = coin[:, 0] < round(deep.exploring(brain.rounds) * 2**32), below(coin[:, 1], actions)
    features = simulator.features(inner)
    shape, numbers, q = (steps, lanes), features.shape[1], np.empty((steps, lanes, actions), dtype=np.float32)
    seen = Seen(
        np.empty((*shape, numbers), dtype=np.float32), np.empty(shape, dtype=np.int32),
        np.empty(shape, dtype=np.float32), np.empty((*shape, numbers), dtype=np.float32),
        np.empty(shape, dtype=np.float32), np.empty(shape, dtype=bool), np.empty(shape, dtype=bool),
    )  # fmt: skip
    for step in range(steps):
        q[step] = mlp.values(net, brain.parameters, features)
        seen.features[step] = features
        seen.action[step] = np.where(by_chance[step], drawn[step], q[step].argmax(axis=1))
        seen.reward[step], seen.terminated[step] = simulator.step(inner, seen.action[step], random[step])
        elapsed += 1
        features = seen.after[step] = simulator.features(inner)
        over = seen.over[step] = seen.terminated[step] | (elapsed >= simulator.time_limit)
        if over.any():
            inner[:, over] = simulator.start(np.ascontiguousarray(starts[step][:, over]))
            elapsed[over] = 0
            features = simulator.features(inner)
    seen.reward[...] *= np.float32(deep.reward_scale)
    # The state after a step is the one before the next, of which the network has been asked, unless an episode is over.
    seen.value[:-1] = q[1:].max(axis=2)
    new = seen.over.copy()
    new[-1] = True
    seen.value[new] = mlp.values(net, brain.parameters, seen.after[new]).max(axis=1)
    return seen


def lambda_returns(deep: Deep, seen: Seen) -> Floats:
    """The target of each step (steps, lanes), by the values of the states that they led to.

    Peng's Q(lambda): G = r + gamma ((1 - lambda) V(next) + lambda G of the next step); V alone where an episode was cut
    off or the round ends; nothing where it terminated.
    """
    after = np.where(seen.terminated, np.float32(0), seen.value)
    found = np.empty_like(after)
    gamma, trace = np.float32(deep.gamma), np.float32(deep.trace)
    ahead = after[-1]
    for step in range(len(found) - 1, -1, -1):
        follows = np.where(seen.over[step], after[step], trace * ahead + (1 - trace) * after[step])
        if step == len(found) - 1:
            follows = after[step]
        ahead = found[step] = seen.reward[step] + gamma * follows
    return found


def _epoch(
    deep: Deep, net: mlp.Mlp, brain: Brain, seen: Seen, target: Floats, number: int, rate: float,
    communicator: Communicator,
) -> None:  # fmt: skip
    """Go through what was seen once, in minibatches that take an equal part of every shard."""
    features, action = seen.features.reshape(-1, seen.features.shape[-1]), seen.action.reshape(-1)
    orders = [_order(deep, brain, shard, number) for shard in brain.own]
    slopes, total = np.empty((len(orders), net.size), dtype=np.float32), np.empty(net.size, dtype=np.float32)
    for batch in range(deep.batches):
        for order, slope in zip(orders, slopes, strict=True):
            part = piece(len(order), deep.batches, batch)
            rows = order[part.start : part.stop]
            kernel.slope(brain.parameters, net.units, features, action, target.reshape(-1), rows, slope)
        tree_sum(list(slopes), deep.shards, total, communicator)
        total *= np.float32(deep.batches / deep.steps_of_round)
        brain.updates += 1
        radam.update(brain.parameters, total, brain.first, brain.second, brain.updates, rate, deep.clip)


def _order(deep: Deep, brain: Brain, shard: int, number: int) -> NDArray[np.int64]:
    """The steps of a shard's environments, as rows of all that the rank saw, in the order of an epoch."""
    rows = brain.shards.shard(shard)
    drawn = words(deep.seed, f"deep shuffle {shard}", 0, deep.round_steps * len(rows), number)
    step, lane = np.divmod(np.argsort(drawn, kind="stable"), len(rows))
    return step * len(brain.rows) + (rows.start - brain.rows.start) + lane


def earned(
    simulator: Simulator, policy: Callable[[Floats], NDArray[np.int32]], seed: int, episodes: int, first: int,
    communicator: Communicator,
) -> NDArray[np.float64]:  # fmt: skip
    """The undiscounted return of episodes from number `first` on of a policy, which maps features to actions.

    Collective: each rank plays some of them, and the policy looks at each row by itself.
    """
    own = piece(episodes, communicator.size, communicator.rank)
    found = np.zeros(episodes)
    found[own.start : own.stop] = _earned(simulator, policy, seed, len(own), first + own.start)
    communicator.allreduce_sum(found.view(np.int64))  # all but one give 0: the bits are those of the one
    return found


def _earned(
    simulator: Simulator, policy: Callable[[Floats], NDArray[np.int32]], seed: int, episodes: int, first: int
) -> NDArray[np.float64]:
    assert simulator.features is not None
    inner = first_states(simulator, seed, "deep evaluated", first, episodes)
    returns, going = np.zeros(episodes), np.arange(episodes)
    for step in range(simulator.time_limit if episodes else 0):
        if step % AT_ONCE == 0:
            random = words_of_steps(seed, "deep evaluated steps", step + 1, AT_ONCE, first, episodes)
        reward, terminated = simulator.step(inner, policy(simulator.features(inner)), random[step % AT_ONCE][:, going])
        returns[going] += reward
        if terminated.any():
            going, inner = going[~terminated], np.ascontiguousarray(inner[:, ~terminated])
        if not len(going):
            break
    return returns
