"""Where learning stands: what is known, which all ranks share, and where the environments of this rank are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels.philox import blocks
from hpcjobs.parallel.communicator import Communicator
from hpcjobs.parallel.randomness import short_key
from hpcjobs.parallel.shards import Span, piece
from hpcjobs.rl.table import Table

Integers = NDArray[np.int64]
State = Mapping[str, NDArray[Any]]
SHARED = ("q", "visits", "counts")


@dataclass
class Position:
    """All of learning that changes. What ranks share has the same bits on each of them."""

    rounds: int
    q: NDArray[np.float64]  # (states, actions)
    values: NDArray[np.float64]  # (states,), the largest of q
    visits: Integers  # (states, actions)
    counts: Integers  # (states, actions, kinds) of everything that was seen
    fresh: Integers  # (states, actions, kinds) of one round
    policy: NDArray[np.int32]  # (states,), what a round follows
    own: Span  # the environments of this rank
    environments: int
    state: NDArray[np.int32]  # (own,)
    elapsed: NDArray[np.int32]  # (own,)

    def gather(self, communicator: Communicator) -> dict[str, NDArray[Any]]:
        """What a checkpoint holds: what is known, and the state and age of every environment. Collective."""
        everywhere = np.zeros((2, self.environments), dtype=np.int64)
        if len(self.own) == self.environments:
            everywhere[:] = self.state, self.elapsed
        else:
            everywhere[:, self.own.start : self.own.stop] = self.state, self.elapsed
            communicator.allreduce_sum(everywhere)
        return {name: getattr(self, name) for name in SHARED} | {"environments": everywhere}


def begin(table: Table, optimism: float, seed: int, environments: int) -> dict[str, NDArray[Any]]:
    """The state before the first round: every value is `optimism`, every environment at one of the starts."""
    words = np.empty((1, 4, environments), dtype=np.uint32)
    blocks(words, short_key(seed, "q-learning starts"), np.uint64(0), np.uint64(0))
    first = np.searchsorted(table.start_limits, words[0, 3].astype(np.uint64), side="right")
    states = table.starts[np.minimum(first, len(table.starts) - 1)]
    return {
        "q": np.full(table.pairs, optimism),
        "visits": np.zeros(table.pairs, dtype=np.int64),
        "counts": np.zeros(table.outcomes.shape, dtype=np.int64),
        "environments": np.stack([states, np.zeros_like(states)]).astype(np.int64),
    }


def restore(state: State, rounds: int, communicator: Communicator | None) -> Position:
    """The position of a rank from what `begin` or a checkpoint tells; without communicator it has all environments."""
    total = state["environments"].shape[1]
    own = Span(0, total) if communicator is None else piece(total, communicator.size, communicator.rank)
    lanes = state["environments"][:, own.start : own.stop].astype(np.int32)
    q, counts = state["q"].copy(), state["counts"].copy()
    return Position(
        rounds=rounds,
        q=q,
        values=q.max(axis=1),
        visits=state["visits"].copy(),
        counts=counts,
        fresh=np.zeros_like(counts),
        policy=np.zeros(len(q), dtype=np.int32),
        own=own,
        environments=total,
        state=lanes[0].copy(),
        elapsed=lanes[1].copy(),
    )
