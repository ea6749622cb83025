"""A user's own environment: an object with `states`, `actions`, `time_limit`, and `reset` and `step` made by @njit."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.errors import DataError
from hpcjobs.kernels.stepping import reset_lanes, step_lanes
from hpcjobs.rl.simulator import Inner, Simulator, Stepped, Words, below, words_of

NEEDED = ("states", "actions", "time_limit", "reset", "step")
MOST_STATES = 2**24
TRIED = 20_000  # steps of a check


def simulator(name: str, made: Any, digest: str, time_limit: int = 0) -> Simulator:
    """The environment that an object declares; DataError says which rule its declaration breaks."""
    missing = [one for one in NEEDED if getattr(made, one, None) is None]
    if missing:
        raise DataError(f"{name}: has no {' and no '.join(missing)}; an environment has {', '.join(NEEDED)}")
    for one, most in (("states", MOST_STATES), ("time_limit", 2**31 - 1)):
        found = getattr(made, one)
        if not isinstance(found, int) or not 1 <= found <= most:
            raise DataError(f"{name}: {one} is {found!r}; expected a whole number from 1 to {most}")
    actions = made.actions if not isinstance(made.actions, int) else [str(one) for one in range(made.actions)]
    if isinstance(actions, str) or not all(isinstance(one, str) for one in actions) or not 1 <= len(actions) <= 1024:
        raise DataError(f"{name}: actions is {made.actions!r}; expected their number, or their names")
    for one in ("reset", "step"):
        if not callable(getattr(getattr(made, one), "py_func", None)):
            raise DataError(f"{name}: {one} is not compiled; put @staticmethod and @njit (of numba) above it")
    parameters = getattr(made, "parameters", 0)

    def start(words: Words) -> Inner:
        found = np.zeros((1, words.shape[1]), dtype=np.int64)
        reset_lanes(found[0], np.ascontiguousarray(words.T), made.reset, parameters)
        return found

    def step(inner: Inner, action: NDArray[np.int32], words: Words) -> Stepped:
        reward, ended = np.zeros(len(action)), np.zeros(len(action), dtype=np.uint8)
        step_lanes(inner[0], action, np.ascontiguousarray(words.T), reward, ended, made.step, parameters)
        return reward, ended == 1

    return Simulator(
        name,
        made.states,
        tuple(actions),
        time_limit or made.time_limit,
        digest,
        start,
        step,
        lambda inner: inner[0].copy(),
    )


def check(made: Any, one: Simulator) -> dict[str, int]:
    """Play an environment at random and look whether it keeps its contract; DataError says which rule, in which state.

    Returns what was looked at: steps, different states, ends.
    """
    try:
        return _played(one.name, made, one)
    except DataError:
        raise
    except Exception as error:  # whatever the user's code raises, or its compilation
        first = str(error).strip().splitlines() or [""]
        raise DataError(
            f"{one.name}: {type(error).__name__}: {first[0]}; reset and step must compile, and raise nothing"
        ) from None


def _played(name: str, made: Any, one: Simulator) -> dict[str, int]:
    parameters = getattr(made, "parameters", 0)
    state, steps, ends, seen = -1, 0, 0, set()
    for number in range(TRIED):
        words = np.ascontiguousarray(words_of(0, "check", number, 0, 2).T)  # (2, 4): of the step, of another use
        if state < 0:
            state = _first(name, functools.partial(made.reset, words[1], parameters), words[1], one)
            seen.add(state)
        action = int(below(words[1, :1], len(one.actions))[0])
        where = f"{name}: state {state}, action {one.actions[action]}"
        given = words[0].copy()
        after, reward, ended = _unpacked(where, made.step(state, action, words[0], parameters))
        if not np.isfinite(reward):
            raise DataError(f"{where}: its reward is {reward}; expected a finite number")
        if (after, reward, ended) != _unpacked(where, made.step(state, action, given.copy(), parameters)):
            raise DataError(f"{where}: two steps with the same words differ; a step must be pure: use the words alone")
        if not (words[0] == given).all():
            raise DataError(f"{where}: step changes its words; it must change nothing that it is given")
        if not 0 <= after < one.states:
            raise DataError(f"{where}: it leads to state {after}; expected 0 to {one.states - 1}")
        seen.add(after)
        steps, ends, state = steps + 1, ends + ended, -1 if ended else after
        if number % one.time_limit == one.time_limit - 1:
            state = -1
    return {"steps": steps, "states": len(seen), "ends": ends}


def _first(name: str, reset: Callable[[], Any], words: NDArray[np.uint32], one: Simulator) -> int:
    given, found = words.copy(), _whole(f"{name}: reset", "a state", reset())
    if found != _whole(f"{name}: reset", "a state", reset()) or not (words == given).all():
        raise DataError(f"{name}: reset: twice with the same words it differs; it must be pure: use the words alone")
    if not 0 <= found < one.states:
        raise DataError(f"{name}: reset gives state {found}; expected 0 to {one.states - 1}")
    return found


def _unpacked(where: str, found: Any) -> tuple[int, float, bool]:
    if not isinstance(found, tuple) or len(found) != 3:
        raise DataError(f"{where}: step returns {found!r}; expected state, reward, terminated")
    after, reward, ended = found
    if not isinstance(ended, bool) and ended not in (0, 1):
        raise DataError(f"{where}: terminated is {ended!r}; expected True or False")
    return _whole(where, "the next state", after), _number(where, reward), bool(ended)


def _number(where: str, found: Any) -> float:
    if not isinstance(found, int | float | np.number):
        raise DataError(f"{where}: its reward is {found!r}; expected a number")
    return float(found)


def _whole(where: str, what: str, found: Any) -> int:
    if isinstance(found, bool) or not isinstance(found, int | np.integer):
        raise DataError(f"{where}: {what} is {found!r}; expected a whole number")
    return int(found)
