"""Random numbers derived from a seed, a purpose and a global index; never from a rank.

Counter-based Philox4x64-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11): the raw words
of NumPy's `Philox` are fixed for ever, unlike the distributions of its `Generator`.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray


def philox(seed: int, purpose: str, index: int = 0) -> np.random.Philox:
    """The generator for one purpose and one global index (restart, block, step ...)."""
    # The index takes the two high words of the counter, so streams of different indices never overlap.
    counter = np.array([0, 0, index & (2**64 - 1), index >> 64], dtype=np.uint64)
    return np.random.Philox(key=_key(seed, purpose), counter=counter)


def short_key(seed: int, purpose: str) -> NDArray[np.uint32]:
    """The key (2,) of one purpose for the Philox4x32-10 of `kernels/philox.py`."""
    return np.frombuffer(hashlib.sha256(f"{seed}:{purpose}".encode()).digest()[:8], dtype="<u4").astype(np.uint32)


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


def words(seed: int, purpose: str, start: int, stop: int, index: int = 0) -> NDArray[np.uint64]:
    """Words `start` to `stop` of one derived generator: any part of its stream without what goes before."""
    bits = philox(seed, purpose, index)
    bits.advance(start // 4)  # four words a count
    drawn: NDArray[np.uint64] = bits.random_raw(stop - start // 4 * 4)
    return drawn[start % 4 :]


def uniforms(seed: int, purpose: str, index: int, start: int, stop: int) -> NDArray[np.float64]:
    """Numbers `start` to `stop` of one derived stream, uniform in [0, 1)."""
    return (words(seed, purpose, start, stop, index) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def uniforms_of(seed: int, purpose: str, index: int, rows: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """`count` numbers of each of some rows (n, count): of row r those from r * count on of the same stream.

    `count` is a multiple of 4, so that each row begins a block of the generator.
    """
    key, low, high = _key(seed, purpose), index & (2**64 - 1), index >> 64
    drawn = np.empty((len(rows), count), dtype=np.uint64)
    for row, out in zip(rows.tolist(), drawn, strict=True):
        counter = np.array([row * count // 4, 0, low, high], dtype=np.uint64)
        out[:] = np.random.Philox(key=key, counter=counter).random_raw(count)
    return (drawn >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _key(seed: int, purpose: str) -> NDArray[np.uint64]:
    digest = hashlib.sha256(f"{seed}:{purpose}".encode()).digest()
    return np.frombuffer(digest[:16], dtype="<u8").astype(np.uint64)
