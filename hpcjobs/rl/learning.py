"""Q-learning in rounds: all environments follow one frozen policy, and every rank learns from what all of them saw.

The ranks share the environments, count transitions, and add the counts up: integers have the same sum in any order.
"""

from dataclasses import dataclass

import numpy as np

from hpcjobs.kernels import tabular
from hpcjobs.kernels.philox import blocks
from hpcjobs.parallel.communicator import Communicator
from hpcjobs.parallel.randomness import short_key
from hpcjobs.rl.position import Position
from hpcjobs.rl.table import Table


@dataclass(frozen=True)
class Learner:
    """How to learn. `memory` H of the step size (H + 1) / (H + visits), unless a constant `step_size` is above 0."""

    algorithm: str  # batch-q | counts | online
    gamma: float
    seed: int
    environments: int
    round_steps: int  # of each environment
    epsilon: float
    epsilon_steps: int  # environment steps in which the share of random actions falls from 1 to epsilon
    memory: int
    step_size: float
    bonus: float  # of counts: added to a value is bonus / sqrt(visits)
    sweeps: int  # of counts: after each round

    @property
    def steps_of_round(self) -> int:
        """Environment steps of one round."""
        return self.environments * self.round_steps

    def exploring(self, rounds: int) -> float:
        """The share of random actions in the round after `rounds`."""
        done = rounds * self.steps_of_round
        if done >= self.epsilon_steps:
            return self.epsilon
        return 1.0 + (self.epsilon - 1.0) * (done / self.epsilon_steps)


def play(learner: Learner, table: Table, at: Position, communicator: Communicator) -> None:
    """One round. Collective."""
    step = np.uint64(at.rounds * learner.round_steps)
    explore = np.uint64(round(learner.exploring(at.rounds) * 2**32))
    key = short_key(learner.seed, "q-learning steps")
    if learner.algorithm == "online":  # each step depends on all before it, so every rank makes them all
        tabular.online(
            at.q, at.state, at.elapsed, key, step, learner.round_steps, explore, table.world, learner.gamma,
            learner.memory, learner.step_size, at.counts, at.visits,
        )  # fmt: skip
    else:
        tabular.greedy(at.q, tie_words(learner, at), at.policy)
        at.fresh[...] = 0
        tabular.rollout(
            at.state, at.elapsed, key, step, learner.round_steps, np.uint64(at.own.start), explore, at.policy,
            table.world, at.fresh,
        )  # fmt: skip
        communicator.allreduce_sum(at.fresh)
        learn(learner, table, at)
    at.rounds += 1


def learn(learner: Learner, table: Table, at: Position) -> None:
    """Take in what a round has seen: the counts `at.fresh` (states, actions, kinds) of all environments."""
    at.counts += at.fresh
    if learner.algorithm == "batch-q":
        tabular.blend(
            at.q, at.values, at.visits, at.fresh, table.world, learner.gamma, learner.memory, learner.step_size
        )
        return
    at.visits += at.fresh.sum(axis=2)
    for _ in range(learner.sweeps):
        tabular.sweep(at.values, at.counts, table.world, learner.gamma, learner.bonus, at.q)


def tie_words(learner: Learner, at: Position) -> tabular.Words:
    """A random word for each state (states,), to choose among actions that look equally good."""
    words = np.empty((1, 4, len(at.q)), dtype=np.uint32)
    blocks(words, short_key(learner.seed, "q-learning ties"), np.uint64(at.rounds), np.uint64(0))
    ties: tabular.Words = words[0, 0]
    return ties
