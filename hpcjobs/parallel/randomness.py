"""Random numbers derived from a seed, a purpose and a global index; never from a rank.

Counter-based Philox4x64-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11): the raw words
of NumPy's `Philox` are fixed for ever, unlike the distributions of its `Generator`.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

WORDS_AT_A_TIME = 4096


def philox(seed: int, purpose: str, index: int = 0) -> np.random.Philox:
    """The generator for one purpose and one global index (restart, block, step ...)."""
    digest = hashlib.sha256(f"{seed}:{purpose}".encode()).digest()
    key = np.frombuffer(digest[:16], dtype="<u8").astype(np.uint64)
    # The index takes the two high words of the counter, so streams of different indices never overlap.
    counter = np.array([0, 0, index & (2**64 - 1), index >> 64], dtype=np.uint64)
    return np.random.Philox(key=key, counter=counter)


def words(seed: int, purpose: str, start: int, stop: int) -> NDArray[np.uint64]:
    """The random words of rows `start` to `stop`: row r has word r mod 4096 of the generator of index r // 4096."""
    first = start // WORDS_AT_A_TIME
    drawn = [
        philox(seed, purpose, index).random_raw(min(WORDS_AT_A_TIME, stop - index * WORDS_AT_A_TIME))
        for index in range(first, -(-stop // WORDS_AT_A_TIME))
    ]
    return np.concatenate([*drawn, np.empty(0, dtype=np.uint64)])[start - first * WORDS_AT_A_TIME :]


class Stream:
    """Integers drawn one after another from one derived generator."""

    def __init__(self, seed: int, purpose: str, index: int = 0) -> None:
        self._bits = philox(seed, purpose, index)

    def below(self, bound: int) -> int:
        """A uniform integer in [0, bound), without bias (128-bit words, rejection)."""
        if bound <= 0:
            raise ValueError(f"bound must be positive, not {bound}")
        limit = 2**128 - 2**128 % bound
        while True:
            high, low = (int(word) for word in self._bits.random_raw(2))
            draw = (high << 64) | low
            if draw < limit:
                return draw % bound
