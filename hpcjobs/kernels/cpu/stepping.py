"""Numba twins that step a user's own environment; not cached: the user's functions are compiled into them."""

from numba import njit


@njit(error_model="numpy")
def step_lanes(state, action, words, reward, terminated, step, parameters):  # type: ignore[no-untyped-def]
    for lane in range(len(state)):
        after, earned, ended = step(state[lane], action[lane], words[lane], parameters)
        state[lane], reward[lane], terminated[lane] = after, earned, ended


@njit(error_model="numpy")
def reset_lanes(state, words, reset, parameters):  # type: ignore[no-untyped-def]
    for lane in range(len(state)):
        state[lane] = reset(words[lane], parameters)
