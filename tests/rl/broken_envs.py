"""Environments that each break one rule, and the one they are made from."""

import itertools
from typing import Any

import numpy as np
from numba import njit

COUNT = np.zeros(1)
numbers = itertools.count()


class Line:
    """Five cells in a row; the last ends it."""

    states: Any = 5
    actions: Any = ("back", "on")
    time_limit: Any = 20

    @staticmethod
    @njit
    def reset(words: Any, parameters: Any) -> Any:
        return words[3] % 4

    @staticmethod
    @njit
    def step(state: Any, action: Any, words: Any, parameters: Any) -> Any:
        slips = words[0] < 2**30
        after = state if slips else max(state + 2 * action - 1, 0)
        return after, 1.0 if after == 4 else 0.0, after == 4


class NotANumber(Line):
    @staticmethod
    @njit
    def step(state: Any, action: Any, words: Any, parameters: Any) -> Any:
        return state, np.nan if state == 2 else 0.0, False


class Beyond(Line):
    @staticmethod
    @njit
    def step(state: Any, action: Any, words: Any, parameters: Any) -> Any:
        return state + action, 0.0, False


class StartsBeyond(Line):
    @staticmethod
    @njit
    def reset(words: Any, parameters: Any) -> Any:
        return words[3] % 4 + 5


class Two(Line):
    @staticmethod
    @njit
    def step(state: Any, action: Any, words: Any, parameters: Any) -> Any:
        return state, 0.0


class Fraction(Line):
    @staticmethod
    @njit
    def step(state: Any, action: Any, words: Any, parameters: Any) -> Any:
        return state * 0.5, 0.0, False


class Maybe(Line):
    @staticmethod
    @njit
    def step(state: Any, action: Any, words: Any, parameters: Any) -> Any:
        return state, 0.0, 7


class Dice(Line):
    @staticmethod
    @njit
    def step(state: Any, action: Any, words: Any, parameters: Any) -> Any:
        return np.random.randint(0, 5), 0.0, False


class WritesWords(Line):
    @staticmethod
    @njit
    def step(state: Any, action: Any, words: Any, parameters: Any) -> Any:
        words[0] = 0
        return state, 0.0, False


class Raises(Line):
    @staticmethod
    @njit
    def step(state: Any, action: Any, words: Any, parameters: Any) -> Any:
        if state == 3:
            raise ValueError("no way on")
        return state, 0.0, False


class DoesNotCompile(Line):
    @staticmethod
    @njit
    def step(state: Any, action: Any, words: Any, parameters: Any) -> Any:
        return state.upper(), 0.0, False


class Slow(Line):
    @staticmethod
    def step(state: Any, action: Any, words: Any, parameters: Any) -> Any:
        return state, 0.0, False


class NoStates(Line):
    states = 0


class NoActions(Line):
    actions = ()


class NoLimit(Line):
    time_limit = None


class EveryRewardAnother(Line):
    """Whose rewards cannot be counted."""

    @staticmethod
    @njit
    def step(state: Any, action: Any, words: Any, parameters: Any) -> Any:
        return state, words[0] * 1.0, False
