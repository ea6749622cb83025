"""Numba twin of the random words."""

import numpy as np
from numba import njit

M0, M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
W0, W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
LOW, HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


@njit(cache=True, error_model="numpy")
def blocks_of_step(words, key, step, first):  # type: ignore[no-untyped-def]
    """The words (4, lanes) of one step."""
    out0, out1, out2, out3 = words[0], words[1], words[2], words[3]
    a, b = step & LOW, step >> HALF
    key0, key1 = np.uint64(key[0]), np.uint64(key[1])
    for lane in range(words.shape[1]):  # 64-bit products of 32-bit words: LLVM makes vectors of them
        environment = first + np.uint64(lane)
        x0, x1, x2, x3 = a, b, environment & LOW, environment >> HALF
        k0, k1 = key0, key1
        for _ in range(10):
            left, right = x0 * M0, x2 * M1
            x0, x1, x2, x3 = (right >> HALF) ^ x1 ^ k0, right & LOW, (left >> HALF) ^ x3 ^ k1, left & LOW
            k0, k1 = (k0 + W0) & LOW, (k1 + W1) & LOW
        out0[lane] = x0
        out1[lane] = x1
        out2[lane] = x2
        out3[lane] = x3


@njit(cache=True, error_model="numpy")
def blocks(words, key, step, first):  # type: ignore[no-untyped-def]
    for number in range(len(words)):
        blocks_of_step(words[number], key, step + np.uint64(number), first)
