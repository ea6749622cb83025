"""Q-learning on an environment that can only be played: what can happen in a state is noted as it is first seen.

Each round the ranks tell each other what none had seen before; all note it in the same order, whoever saw it. An
outcome is a number from there on, and counts are added up as for environments that are known as tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.errors import DataError
from hpcjobs.kernels import tabular
from hpcjobs.parallel.communicator import Communicator
from hpcjobs.parallel.shards import Span, piece
from hpcjobs.rl.learning import Learner, learn, tie_words
from hpcjobs.rl.position import SHARED, Position
from hpcjobs.rl.simulator import Simulator, begin_again, below, first_states, words_of
from hpcjobs.rl.table import Table

Integers = NDArray[np.int64]
MOST_KINDS = 4096  # outcomes of a pair; an environment with more has rewards that are all different
MOST_CELLS = 2**28


@dataclass
class Trial:
    """All of learning that changes: what ranks share, and where the environments of this rank are."""

    at: Position
    known: Table  # what has been seen so far, without chances
    used: Integers  # (states, actions): how many kinds of outcomes are known
    inner: NDArray[Any]  # (numbers, own)
    elapsed: Integers  # (own,)

    def gather(self, communicator: Communicator) -> dict[str, NDArray[Any]]:
        """What a checkpoint holds. Collective."""
        everywhere = np.zeros((len(self.inner) + 1, self.at.environments), dtype=np.int64)
        own = slice(self.at.own.start, self.at.own.stop)
        everywhere[:-1, own], everywhere[-1, own] = self.inner.view(np.int64), self.elapsed  # floats as their bits
        communicator.allreduce_sum(everywhere)
        shared = {name: getattr(self.at, name) for name in SHARED}
        seen = {"outcomes": self.known.outcomes, "rewards": self.known.rewards, "used": self.used}
        return shared | seen | {"environments": everywhere}


def begin(simulator: Simulator, optimism: float, seed: int, environments: int) -> dict[str, NDArray[Any]]:
    """The state before the first round."""
    pairs = (simulator.states, len(simulator.actions))
    inner = first_states(simulator, seed, "simulated", 0, environments)
    return {
        "q": np.full(pairs, optimism),
        "visits": np.zeros(pairs, dtype=np.int64),
        "counts": np.zeros((*pairs, 1), dtype=np.int64),
        "outcomes": np.zeros((*pairs, 1), dtype=np.int32),
        "rewards": np.zeros((*pairs, 1)),
        "used": np.zeros(pairs, dtype=np.int64),
        "environments": np.vstack([inner.view(np.int64), np.zeros((1, environments), dtype=np.int64)]),
    }


def restore(simulator: Simulator, state: Mapping[str, NDArray[Any]], rounds: int, communicator: Communicator) -> Trial:
    """Where a rank stands, from what `begin` or a checkpoint tells."""
    total = state["environments"].shape[1]
    own = piece(total, communicator.size, communicator.rank)
    lanes = np.ascontiguousarray(state["environments"][:, own.start : own.stop])
    like = simulator.start(np.zeros((4, 1), dtype=np.uint32)).dtype
    q, counts = state["q"].copy(), state["counts"].copy()
    nowhere = np.zeros(0, dtype=np.int32)
    at = Position(
        rounds=rounds, q=q, values=q.max(axis=1), visits=state["visits"].copy(), counts=counts,
        fresh=np.zeros_like(counts), policy=np.zeros(len(q), dtype=np.int32), own=own, environments=total,
        state=nowhere, elapsed=nowhere,
    )  # fmt: skip
    known = seen(simulator, state["outcomes"].copy(), state["rewards"].copy())
    return Trial(at, known, state["used"].copy(), lanes[:-1].view(like).copy(), lanes[-1].copy())


def seen(simulator: Simulator, outcomes: NDArray[np.int32], rewards: NDArray[np.float64]) -> Table:
    """Outcomes and rewards (states, actions, kinds) as the table that learners take; it cannot be played by."""
    nothing, never = np.zeros(0), np.zeros((*outcomes.shape[:2], 0), dtype=np.uint64)
    return Table(
        name=simulator.name, outcomes=outcomes, chances=np.zeros_like(rewards), rewards=rewards, limits=never,
        starts=np.zeros(0, dtype=np.int32), start_chances=nothing, start_limits=np.zeros(0, dtype=np.uint64),
        time_limit=simulator.time_limit, actions=simulator.actions,
    )  # fmt: skip


def play(learner: Learner, simulator: Simulator, trial: Trial, communicator: Communicator) -> None:
    """One round. Collective."""
    at = trial.at
    tabular.greedy(at.q, tie_words(learner, at), at.policy)
    rows = _rollout(learner, simulator, trial)
    note(simulator, trial, rows, communicator)
    at.fresh = np.zeros_like(at.counts)
    np.add.at(at.fresh, (rows[0], rows[1], kinds(trial, rows)), 1)
    communicator.allreduce_sum(at.fresh)
    learn(learner, trial.known, at)
    at.rounds += 1


def _rollout(learner: Learner, simulator: Simulator, trial: Trial) -> Integers:
    """Play a round: of each step (4, steps * own) state, action, outcome and the bits of the reward.

    An outcome is the next state, doubled, plus 1 if the step terminated the episode. A number of a state that there is
    not stays as it is, is noted as an outcome, and found there.
    """
    at, first, lanes = trial.at, trial.at.own.start, len(trial.at.own)
    explore = round(learner.exploring(at.rounds) * 2**32)
    rows = np.empty((learner.round_steps, 4, lanes), dtype=np.int64)
    if simulator.anew and lanes:
        every, now = np.ones(lanes, dtype=bool), at.rounds * learner.round_steps
        begin_again(simulator, trial.inner, every, learner.seed, "round", now, first)
        trial.elapsed[:] = 0
    state = simulator.observe(trial.inner)
    for number in range(learner.round_steps if lanes else 0):
        step = at.rounds * learner.round_steps + number + 1
        coin = words_of(learner.seed, "simulated actions", step, first, lanes)
        drawn = below(coin[1], len(simulator.actions))
        action = np.where(coin[0].astype(np.int64) < explore, drawn, at.policy[state]).astype(np.int32)
        words = words_of(learner.seed, "simulated steps", step, first, lanes)
        reward, terminated = simulator.step(trial.inner, action, words)
        after = simulator.observe(trial.inner)
        rows[number] = state, action, 2 * after + terminated, (reward + 0.0).view(np.int64)
        trial.elapsed += 1
        over = terminated | (trial.elapsed >= simulator.time_limit) | (after < 0) | (after >= simulator.states)
        if over.any():
            begin_again(simulator, trial.inner, over, learner.seed, "simulated", step, first)
            trial.elapsed[over] = 0
            after = simulator.observe(trial.inner)
        state = after
    return np.ascontiguousarray(rows.transpose(1, 0, 2)).reshape(4, -1)


def kinds(trial: Trial, rows: Integers) -> Integers:
    """The number of each outcome (n,) among those known of its pair; -1 of one that is not."""
    before, action, outcome, bits = rows
    known = trial.known
    same = (known.outcomes[before, action] == outcome[:, None]) & (
        known.rewards[before, action] == bits.view(np.float64)[:, None]
    )
    same &= np.arange(known.outcomes.shape[2]) < trial.used[before, action][:, None]
    return np.where(same.any(axis=1), same.argmax(axis=1), -1)


def note(simulator: Simulator, trial: Trial, rows: Integers, communicator: Communicator) -> None:
    """Note what no rank had seen; DataError, on every rank, for what no environment may do. Collective."""
    new = np.unique(rows[:, kinds(trial, rows) < 0], axis=1)
    new = np.unique(np.concatenate(communicator.allgather_object(new), axis=1), axis=1)
    if not new.shape[1]:
        return
    before, action, outcome, bits = new
    reward, after = bits.view(np.float64), outcome >> 1
    for wrong, what in (
        (~np.isfinite(reward), "its reward is {reward}; expected a finite number"),
        ((after < 0) | (after >= simulator.states), "it leads to state {after}; expected 0 to {last}"),
    ):
        if wrong.any():
            one = int(wrong.argmax())
            told = what.format(reward=reward[one], after=after[one], last=simulator.states - 1)
            done = simulator.actions[action[one]]
            raise DataError(f"{simulator.name}: state {before[one]}, action {done}: {told}")
    pairs = before * len(simulator.actions) + action
    _, begin, number = np.unique(pairs, return_index=True, return_inverse=True)
    place = trial.used[before, action] + np.arange(len(pairs)) - begin[number]
    _grow(simulator, trial, int(place.max()) + 1)
    trial.known.outcomes[before, action, place] = outcome
    trial.known.rewards[before, action, place] = reward
    np.add.at(trial.used, (before, action), 1)


def _grow(simulator: Simulator, trial: Trial, wanted: int) -> None:
    """Room for so many outcomes of each pair, at least doubled."""
    at, known = trial.at, trial.known
    room = known.outcomes.shape[2]
    if wanted <= room:
        return
    more = max(wanted, 2 * room)
    if wanted > MOST_KINDS or more * at.q.size > MOST_CELLS:
        raise DataError(
            f"{simulator.name}: {wanted} outcomes of one state and action; counting needs fewer: let rewards take few "
            "values, or states be coarser"
        )
    wider = ((0, 0), (0, 0), (0, more - room))
    at.counts = np.pad(at.counts, wider)
    trial.known = replace(known, outcomes=np.pad(known.outcomes, wider), rewards=np.pad(known.rewards, wider))


def earned(
    simulator: Simulator, policy: NDArray[np.int32], seed: int, episodes: int, communicator: Communicator
) -> NDArray[np.float64]:
    """The undiscounted return of each of some episodes of a policy (states,). Collective."""
    own: Span = piece(episodes, communicator.size, communicator.rank)
    inner = first_states(simulator, seed, "evaluated", own.start, len(own))
    returns, going = np.zeros(len(own)), np.ones(len(own), dtype=bool)
    for step in range(1, simulator.time_limit + 1):
        if not going.any():
            break
        words = words_of(seed, "evaluated steps", step, own.start, len(own))[:, going]
        inside = np.ascontiguousarray(inner[:, going])
        reward, terminated = simulator.step(inside, policy[simulator.observe(inside)], np.ascontiguousarray(words))
        inner[:, going] = inside
        returns[going] += reward
        going[going] = ~terminated
    return np.concatenate(communicator.allgather_object(returns))
