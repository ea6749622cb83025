"""Numba twins of the classic control environments."""

import numpy as np
from numba import njit

from hpcjobs.kernels.cpu.philox import blocks_of_step

LANES = 256
TURN = 12 * 2 * np.pi / 360


@njit(cache=True, error_model="numpy")
def cart_pole(state, action, terminated):  # type: ignore[no-untyped-def]
    for lane in range(state.shape[1]):
        place, speed, angle, turning = state[0, lane], state[1, lane], state[2, lane], state[3, lane]
        force = 10.0 if action[lane] == 1 else -10.0
        cosine, sine = np.cos(angle), np.sin(angle)
        pushed = (force + 0.05 * (turning * turning) * sine) / 1.1
        turned = (9.8 * sine - cosine * pushed) / (0.5 * (4.0 / 3.0 - 0.1 * (cosine * cosine) / 1.1))
        moved = pushed - 0.05 * turned * cosine / 1.1
        place, angle = place + 0.02 * speed, angle + 0.02 * turning
        state[0, lane], state[1, lane] = place, speed + 0.02 * moved
        state[2, lane], state[3, lane] = angle, turning + 0.02 * turned
        terminated[lane] = abs(place) > 2.4 or abs(angle) > TURN


@njit(cache=True, error_model="numpy")
def mountain_car(state, action, terminated):  # type: ignore[no-untyped-def]
    for lane in range(state.shape[1]):
        speed = state[1, lane] + ((action[lane] - 1) * 0.001 + np.cos(3 * state[0, lane]) * -0.0025)
        speed = min(max(speed, -0.07), 0.07)
        place = min(max(state[0, lane] + speed, -1.2), 0.6)
        if place == -1.2 and speed < 0:
            speed = 0.0
        state[0, lane], state[1, lane] = place, speed
        terminated[lane] = place >= 0.5 and speed >= 0


@njit(cache=True, error_model="numpy")
def _swing(one, two, turn_one, turn_two, torque):  # type: ignore[no-untyped-def]
    d1 = 0.25 + (1.25 + np.cos(two)) + 1.0 + 1.0
    d2 = (0.25 + 0.5 * np.cos(two)) + 1.0
    phi2 = 0.5 * 9.8 * np.cos(one + two - np.pi / 2.0)
    sine = np.sin(two)
    phi1 = -0.5 * (turn_two * turn_two) * sine - 1.0 * turn_two * turn_one * sine
    phi1 = phi1 + 1.5 * 9.8 * np.cos(one - np.pi / 2) + phi2
    bent = torque + d2 / d1 * phi1 - 0.5 * (turn_one * turn_one) * sine - phi2
    bent = bent / (0.25 + 1.0 - d2 * d2 / d1)
    return turn_one, turn_two, -(d2 * bent + phi1) / d1, bent


@njit(cache=True, error_model="numpy")
def acrobot(state, action, terminated):  # type: ignore[no-untyped-def]
    half, step = 0.1, 0.2
    for lane in range(state.shape[1]):
        a, b, c, d = state[0, lane], state[1, lane], state[2, lane], state[3, lane]
        torque = action[lane] - 1.0
        k = _swing(a, b, c, d, torque)
        m = _swing(a + half * k[0], b + half * k[1], c + half * k[2], d + half * k[3], torque)
        n = _swing(a + half * m[0], b + half * m[1], c + half * m[2], d + half * m[3], torque)
        o = _swing(a + step * n[0], b + step * n[1], c + step * n[2], d + step * n[3], torque)
        a = _wrapped(a + step / 6.0 * (k[0] + 2 * m[0] + 2 * n[0] + o[0]))
        b = _wrapped(b + step / 6.0 * (k[1] + 2 * m[1] + 2 * n[1] + o[1]))
        c = c + step / 6.0 * (k[2] + 2 * m[2] + 2 * n[2] + o[2])
        d = d + step / 6.0 * (k[3] + 2 * m[3] + 2 * n[3] + o[3])
        state[0, lane], state[1, lane] = a, b
        state[2, lane] = min(max(c, -4 * np.pi), 4 * np.pi)
        state[3, lane] = min(max(d, -9 * np.pi), 9 * np.pi)
        terminated[lane] = -np.cos(a) - np.cos(b + a) > 1.0


@njit(cache=True, error_model="numpy")
def circles(state, seen):  # type: ignore[no-untyped-def]
    for number in range(2):
        for lane in range(state.shape[1]):
            seen[2 * number, lane], seen[2 * number + 1, lane] = (
                np.cos(state[number, lane]),
                np.sin(state[number, lane]),
            )


@njit(cache=True, error_model="numpy")
def _wrapped(angle):  # type: ignore[no-untyped-def]
    while angle > np.pi:
        angle -= 2 * np.pi
    while angle < -np.pi:
        angle += 2 * np.pi
    return angle


@njit(cache=True, error_model="numpy")
def _restart(state, lane, words, which):  # type: ignore[no-untyped-def]
    for number in range(state.shape[0]):
        share = (words[number, 0] + 0.5) * 2.0**-32
        if which == 0:
            state[number, lane] = -0.05 + 0.1 * share
        elif which == 1:
            state[number, lane] = -0.6 + (-0.4 - -0.6) * share if number == 0 else 0.0
        else:
            state[number, lane] = np.float64(np.float32(-0.1 + 0.2 * share))


@njit(cache=True, error_model="numpy")
def wander(state, elapsed, keys, step, steps, first, which):  # type: ignore[no-untyped-def]
    actions, horizon = np.uint64(2 if which == 0 else 3), 200 if which == 1 else 500
    again = np.empty((4, 1), dtype=np.uint32)
    action, flags = np.empty(LANES, dtype=np.int32), np.empty(LANES, dtype=np.uint8)
    ended, cut_off = 0, 0
    for begin in range(0, len(elapsed), LANES):
        lanes = min(LANES, len(elapsed) - begin)
        drawn, own = (
            np.empty((4, lanes), dtype=np.uint32),
            state[:, begin : begin + lanes].copy(),
        )  # the nearest cache holds it
        for number in range(steps):
            now = step + np.uint64(number)
            blocks_of_step(drawn, keys[0], now, first + np.uint64(begin))
            for lane in range(lanes):
                action[lane] = np.int32((np.uint64(drawn[0, lane]) * actions) >> np.uint64(32))
            if which == 0:
                cart_pole(own, action, flags)
            elif which == 1:
                mountain_car(own, action, flags)
            else:
                acrobot(own, action, flags)
            for lane in range(lanes):
                time = elapsed[begin + lane] + 1
                if flags[lane] or time >= horizon:
                    ended += flags[lane]
                    cut_off += 1 - flags[lane]
                    blocks_of_step(again, keys[1], now, first + np.uint64(begin + lane))
                    _restart(own, lane, again, which)
                    time = 0
                elapsed[begin + lane] = time
        state[:, begin : begin + lanes] = own
    return ended, cut_off
