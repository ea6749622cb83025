"""CartPole, MountainCar and Acrobot as Gymnasium defines them, many at once: pure steps in float64.

A step turns `state` (numbers, lanes) into the next one by the `action` (lanes,), and tells for each lane whether that
`terminated` (lanes,) the episode, 1 or 0. Rewards follow: 1 a step of CartPole; -1 of the others, 0 for Acrobot's last.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.kernels.dispatch import kernel
from hpcjobs.kernels.philox import blocks

Floats = NDArray[np.float64]
Lanes = NDArray[np.int32]
Flags = NDArray[np.uint8]
# How episodes start: each number of a state is uniform between these; Acrobot's are rounded to float32.
STARTS = {
    "CartPole": ((-0.05,) * 4, (0.05,) * 4),
    "MountainCar": ((-0.6, 0.0), (-0.4, 0.0)),
    "Acrobot": ((-0.1,) * 4, (0.1,) * 4),
}
TIME_LIMITS = {"CartPole": 500, "MountainCar": 200, "Acrobot": 500}
ACTIONS = {"CartPole": 2, "MountainCar": 3, "Acrobot": 3}
NAMES = tuple(STARTS)


@kernel
def cart_pole(state: Floats, action: Lanes, terminated: Flags) -> None:
    """A cart under a pole, pushed to the left (0) or right (1); state: place, speed, angle, angular speed."""
    place, speed, angle, turning = state
    force = np.where(action == 1, 10.0, -10.0)
    cosine, sine = np.cos(angle), np.sin(angle)
    pushed = (force + 0.05 * (turning * turning) * sine) / 1.1
    turned = (9.8 * sine - cosine * pushed) / (0.5 * (4.0 / 3.0 - 0.1 * (cosine * cosine) / 1.1))
    moved = pushed - 0.05 * turned * cosine / 1.1
    state[:] = place + 0.02 * speed, speed + 0.02 * moved, angle + 0.02 * turning, turning + 0.02 * turned
    terminated[:] = (np.abs(state[0]) > 2.4) | (np.abs(state[2]) > 12 * 2 * np.pi / 360)


@kernel
def mountain_car(state: Floats, action: Lanes, terminated: Flags) -> None:
    """A car between two hills, driven back (0), not at all (1) or forth (2); state: place, speed."""
    speed = state[1] + ((action - 1) * 0.001 + np.cos(3 * state[0]) * -0.0025)
    speed = np.minimum(np.maximum(speed, -0.07), 0.07)
    place = np.minimum(np.maximum(state[0] + speed, -1.2), 0.6)
    speed = np.where((place == -1.2) & (speed < 0), 0.0, speed)
    state[:] = place, speed
    terminated[:] = (place >= 0.5) & (speed >= 0)


@kernel
def acrobot(state: Floats, action: Lanes, terminated: Flags) -> None:
    """Two links that hang, turned at the joint by -1, 0 or 1; state: both angles, both angular speeds."""
    torque, half, step = action.astype(np.float64) - 1.0, 0.1, 0.2
    first = _swing(state, torque)
    second = _swing(state + half * first, torque)
    third = _swing(state + half * second, torque)
    fourth = _swing(state + step * third, torque)
    found = state + step / 6.0 * (first + 2 * second + 2 * third + fourth)  # Runge and Kutta's method
    for angle in found[:2]:
        while (over := angle > np.pi).any():
            angle[over] -= 2 * np.pi
        while (under := angle < -np.pi).any():
            angle[under] += 2 * np.pi
    for speed, most in zip(found[2:], (4 * np.pi, 9 * np.pi), strict=True):
        speed[:] = np.minimum(np.maximum(speed, -most), most)
    state[:] = found
    terminated[:] = -np.cos(found[0]) - np.cos(found[1] + found[0]) > 1.0


@kernel
def circles(state: Floats, seen: Floats) -> None:
    """Write cosine and sine of both of Acrobot's angles to seen (4, lanes), each lane by itself."""
    for number in (0, 1):
        seen[2 * number], seen[2 * number + 1] = np.cos(state[number]), np.sin(state[number])


def _swing(state: Floats, torque: Floats) -> Floats:
    """The rate of change of Acrobot's state, both (4, lanes), by the dynamics of Sutton and Barto's book."""
    one, two, turn_one, turn_two = state
    d1 = 0.25 + (1.25 + np.cos(two)) + 1.0 + 1.0
    d2 = (0.25 + 0.5 * np.cos(two)) + 1.0
    phi2 = 0.5 * 9.8 * np.cos(one + two - np.pi / 2.0)
    sine = np.sin(two)
    phi1 = -0.5 * (turn_two * turn_two) * sine - 1.0 * turn_two * turn_one * sine
    phi1 = phi1 + 1.5 * 9.8 * np.cos(one - np.pi / 2) + phi2
    bent = torque + d2 / d1 * phi1 - 0.5 * (turn_one * turn_one) * sine - phi2
    bent = bent / (0.25 + 1.0 - d2 * d2 / d1)
    return np.stack([turn_one, turn_two, -(d2 * bent + phi1) / d1, bent])


STEPS: dict[str, Any] = {"CartPole": cart_pole, "MountainCar": mountain_car, "Acrobot": acrobot}


@kernel
def wander(
    state: Floats, elapsed: Lanes, keys: NDArray[np.uint32], step: np.uint64, steps: int, first: np.uint64, which: int
) -> tuple[int, int]:
    """Random actions in environment number `which` of NAMES; how many episodes have terminated, and were truncated.

    keys (2, 2): of the actions and of the starts. After the end of an episode the next begins at once.
    """
    name = NAMES[which]
    words, again = np.empty((2, 1, 4, state.shape[1]), dtype=np.uint32)
    terminated, ended, cut_off = np.zeros(state.shape[1], dtype=np.uint8), 0, 0
    for number in range(steps):
        blocks.reference(words, keys[0], step + np.uint64(number), first)
        blocks.reference(again, keys[1], step + np.uint64(number), first)
        action = ((words[0, 0].astype(np.uint64) * np.uint64(ACTIONS[name])) >> np.uint64(32)).astype(np.int32)
        STEPS[name].reference(state, action, terminated)
        elapsed += 1
        over = (terminated == 1) | (elapsed >= TIME_LIMITS[name])
        ended, cut_off = ended + int(terminated.sum()), cut_off + int((over & (terminated == 0)).sum())
        state[:, over] = start(again[0], which)[:, over]
        elapsed[over] = 0
    return ended, cut_off


def start(words: NDArray[np.uint32], which: int) -> Floats:
    """First states (numbers, lanes) from random words (4, lanes)."""
    low, high = (np.array(bound)[:, None] for bound in STARTS[NAMES[which]])
    state: Floats = low + (high - low) * ((words[: len(low)] + 0.5) * 2.0**-32)
    return state.astype(np.float32).astype(np.float64) if NAMES[which] == "Acrobot" else state
