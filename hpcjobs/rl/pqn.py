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

from hpcjobs.nn import mlp, radam
from hpcjobs.parallel.communicator import Communicator
from hpcjobs.parallel.randomness import words
from hpcjobs.parallel.reduction import tree_sum
from hpcjobs.parallel.shards import Shards, Span
from hpcjobs.rl.novelty import Novelty
from hpcjobs.rl.simulator import Simulator, begin_again, below, first_states, words_of

Floats = NDArray[np.float32]
KEPT = ("parameters", "first", "second")


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
    """What a shard saw in a round: arrays (steps, lanes, ...)."""

    features: Floats
    action: NDArray[np.int32]
    reward: Floats
    after: Floats  # features of the state that the step led to, before another episode began
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
    seen = [rollout(deep, simulator, net, novelty, brain, number) for number in brain.own]
    fresh = np.zeros_like(brain.novelty)
    if deep.bonus:
        for one in seen:
            np.add.at(fresh, novelty.cell(one.after.reshape(-1, one.after.shape[-1])), 1)
        communicator.allreduce_sum(fresh)
        brain.novelty += fresh
    returns = [lambda_returns(deep, one, _values(net, brain.parameters, one)) for one in seen]
    rate = deep.rate * max(0.0, 1 - brain.rounds / deep.rounds)
    for epoch in range(deep.epochs):
        _epoch(deep, net, brain, seen, returns, brain.rounds * deep.epochs + epoch, rate, communicator)
    brain.rounds += 1


def rollout(deep: Deep, simulator: Simulator, net: mlp.Mlp, novelty: Novelty, brain: Brain, shard: int) -> Seen:
    """Play one shard for a round."""
    assert simulator.features is not None
    rows = brain.shards.shard(shard)
    lanes, mine = len(rows), slice(rows.start - brain.rows.start, rows.stop - brain.rows.start)
    inner, elapsed = np.ascontiguousarray(brain.inner[:, mine]), brain.elapsed[mine]
    explore, steps = round(deep.exploring(brain.rounds) * 2**32), deep.round_steps
    features = simulator.features(inner)
    shape = (steps, lanes)
    seen = Seen(
        np.empty((*shape, features.shape[1]), dtype=np.float32), np.empty(shape, dtype=np.int32),
        np.empty(shape, dtype=np.float32), np.empty((*shape, features.shape[1]), dtype=np.float32),
        np.empty(shape, dtype=bool), np.empty(shape, dtype=bool),
    )  # fmt: skip
    for number in range(steps):
        step = brain.rounds * steps + number + 1
        coin = words_of(deep.seed, "deep actions", step, rows.start, lanes)
        best = mlp.forward(net, brain.parameters, features).argmax(axis=1)
        action = np.where(coin[0].astype(np.int64) < explore, below(coin[1], len(simulator.actions)), best)
        seen.features[number], seen.action[number] = features, action
        random = words_of(deep.seed, "deep steps", step, rows.start, lanes)
        reward, seen.terminated[number] = simulator.step(inner, seen.action[number], random)
        elapsed += 1
        features = seen.after[number] = simulator.features(inner)
        seen.reward[number] = deep.reward_scale * reward
        if deep.bonus:
            seen.reward[number] += novelty.bonus(brain.novelty, features, deep.bonus, brain.rounds / deep.rounds)
        over = seen.over[number] = seen.terminated[number] | (elapsed >= simulator.time_limit)
        if over.any():
            begin_again(simulator, inner, over, deep.seed, "deep", step, rows.start)
            elapsed[over] = 0
            features = simulator.features(inner)
    brain.inner[:, mine] = inner
    return seen


def _values(net: mlp.Mlp, parameters: Floats, seen: Seen) -> Floats:
    """What the network says of the state that each step led to (steps, lanes)."""
    found = mlp.forward(net, parameters, seen.after.reshape(-1, seen.after.shape[-1])).max(axis=1)
    values: Floats = found.reshape(seen.reward.shape)
    return values


def lambda_returns(deep: Deep, seen: Seen, values: Floats) -> Floats:
    """The target of each step (steps, lanes), by the `values` of the states that they led to.

    Peng's Q(lambda): G = r + gamma ((1 - lambda) V(next) + lambda G of the next step); V alone where an episode was cut
    off or the round ends; nothing where it terminated.
    """
    after = np.where(seen.terminated, np.float32(0), values)
    found = np.empty_like(values)
    gamma, trace = np.float32(deep.gamma), np.float32(deep.trace)
    ahead = after[-1]
    for step in range(len(found) - 1, -1, -1):
        follows = np.where(seen.over[step], after[step], trace * ahead + (1 - trace) * after[step])
        if step == len(found) - 1:
            follows = after[step]
        ahead = found[step] = seen.reward[step] + gamma * follows
    return found


def _epoch(
    deep: Deep, net: mlp.Mlp, brain: Brain, seen: list[Seen], returns: list[Floats], number: int, rate: float,
    communicator: Communicator,
) -> None:  # fmt: skip
    """Go through what was seen once, in minibatches that take an equal part of every shard."""
    orders = [
        np.argsort(words(deep.seed, f"deep shuffle {shard}", 0, one.reward.size, number), kind="stable")
        for shard, one in zip(brain.own, seen, strict=True)
    ]
    for batch in range(deep.batches):
        parts = []
        for one, target, order in zip(seen, returns, orders, strict=True):
            rows = order[len(order) * batch // deep.batches : len(order) * (batch + 1) // deep.batches]
            parts.append(slope(net, brain.parameters, one, target, rows))
        total = np.empty(net.size, dtype=np.float32)
        tree_sum(parts, deep.shards, total, communicator)
        total *= np.float32(deep.batches / deep.steps_of_round)
        brain.updates += 1
        radam.update(brain.parameters, total, brain.first, brain.second, brain.updates, rate, deep.clip)


def slope(net: mlp.Mlp, parameters: Floats, seen: Seen, target: Floats, rows: NDArray[np.int64]) -> Floats:
    """The slope (parameters,) of half the squared error of some steps of a shard, summed."""
    features, action = seen.features.reshape(-1, seen.features.shape[-1])[rows], seen.action.reshape(-1)[rows]
    traces: list[mlp.Trace] = []
    q = mlp.forward(net, parameters, features, traces)
    every = np.arange(len(rows))
    dq = np.zeros_like(q)
    dq[every, action] = q[every, action] - target.reshape(-1)[rows]
    gradient = np.empty(net.size, dtype=parameters.dtype)
    mlp.backward(net, parameters, features, traces, dq, gradient)
    return gradient


def earned(
    simulator: Simulator, policy: Callable[[Floats], NDArray[np.int32]], seed: int, episodes: int, first: int = 0
) -> NDArray[np.float64]:
    """The undiscounted return of episodes from number `first` on of a policy, which maps features to actions.

    All on one rank: the same on any number of them.
    """
    assert simulator.features is not None
    inner = first_states(simulator, seed, "deep evaluated", first, episodes)
    returns, going = np.zeros(episodes), np.arange(episodes)
    for step in range(1, simulator.time_limit + 1):
        random = words_of(seed, "deep evaluated steps", step, first, episodes)[:, going]
        reward, terminated = simulator.step(inner, policy(simulator.features(inner)), random)
        returns[going] += reward
        going, inner = going[~terminated], np.ascontiguousarray(inner[:, ~terminated])
        if not len(going):
            break
    return returns
