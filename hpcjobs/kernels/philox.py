"""Random words of a counter: Philox4x32-10, the same numbers from every twin, of any step and any environment.

J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11; the known answers of
Random123 hold. NumPy's `Philox` is 4x64-10: other numbers.
"""

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels.dispatch import kernel

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)


@kernel
def blocks(words: NDArray[np.uint32], key: NDArray[np.uint32], step: np.uint64, first: np.uint64) -> None:
    """Write four words of each step and environment: words (steps, 4, lanes), key (2,).

    The counter is (step, environment), 64 bits each, low word first; steps count from `step`, lanes from `first`.
    """
    steps, _, lanes = words.shape
    counter = (step + np.arange(steps, dtype=np.uint64))[:, None]
    lane = (first + np.arange(lanes, dtype=np.uint64))[None, :]
    zero = np.zeros((steps, lanes), dtype=np.uint64)
    state = [zero + (counter & LOW), zero + (counter >> HALF), zero + (lane & LOW), zero + (lane >> HALF)]
    keys = [int(word) for word in key]
    for _ in range(ROUNDS):
        left, right = state[0] * np.uint64(MULTIPLIERS[0]), state[2] * np.uint64(MULTIPLIERS[1])
        state = [
            (right >> HALF) ^ state[1] ^ np.uint64(keys[0]),
            right & LOW,
            (left >> HALF) ^ state[3] ^ np.uint64(keys[1]),
            left & LOW,
        ]
        keys = [(word + step_of_key) & 0xFFFFFFFF for word, step_of_key in zip(keys, WEYL, strict=True)]
    for number in range(4):
        words[:, number] = state[number]
