"""Numba twins of the kernels on tabular environments."""

import numpy as np
from numba import njit

from hpcjobs.kernels.cpu.philox import blocks_of_step

LANES = 256  # environments whose words fit the nearest cache
HALF, ONE = np.uint64(32), np.uint64(1)


@njit(cache=True, error_model="numpy")
def _start(word, starts, start_limits):  # type: ignore[no-untyped-def]
    low, high = 0, len(starts) - 1
    while low < high:
        middle = (low + high) // 2
        if np.uint64(word) < start_limits[middle]:
            high = middle
        else:
            low = middle + 1
    return starts[low]


@njit(cache=True, error_model="numpy")
def _step(state, elapsed, words, index, explore, greedy, world, counts):  # type: ignore[no-untyped-def]
    """One step of some environments, in passes without branches to be guessed; `index` (lanes,) is for use inside."""
    outcomes, _, limits, starts, start_limits, horizon = world
    actions, kinds = np.uint64(outcomes.shape[1]), np.uint64(outcomes.shape[2])
    packed, flat, bounds = outcomes.reshape(-1), counts.reshape(-1), limits.reshape(-1)
    coin, which, fate = words[0], words[1], words[2]
    lanes = len(state)
    for lane in range(lanes):  # unsigned numbers are indices as they are
        s = np.uint64(state[lane])
        drawn, known = (np.uint64(which[lane]) * actions) >> HALF, np.uint64(greedy[s])
        index[lane] = s * actions + (drawn if np.uint64(coin[lane]) < explore else known)
    if kinds == 3:  # the common case of the loop below, unrolled
        for lane in range(lanes):
            first, word = np.uint64(2) * index[lane], np.uint64(fate[lane])
            kind = np.uint64(word >= bounds[first]) + np.uint64(word >= bounds[first + ONE])
            index[lane] = kinds * index[lane] + kind
    elif kinds > 1:
        for lane in range(lanes):
            first, kind = index[lane] * (kinds - ONE), np.uint64(0)
            for other in range(kinds - ONE):
                kind += np.uint64(np.uint64(fate[lane]) >= bounds[first + np.uint64(other)])
            index[lane] = kinds * index[lane] + kind
    for lane in range(lanes):
        flat[index[lane]] += 1
    ended = 0
    for lane in range(lanes):
        found, time = packed[index[lane]], elapsed[lane] + 1
        over = (found & 1) | np.int32(time >= horizon)
        ended += over
        state[lane] = found >> 1
        elapsed[lane] = 0 if over else time
    if ended:
        for lane in range(lanes):
            if elapsed[lane] == 0:
                state[lane] = _start(words[3, lane], starts, start_limits)


@njit(cache=True, error_model="numpy")
def advance(state, elapsed, words, explore, greedy, world, counts):  # type: ignore[no-untyped-def]
    index = np.empty(len(state), dtype=np.uint64)
    for number in range(len(words)):
        _step(state, elapsed, words[number], index, explore, greedy, world, counts)


@njit(cache=True, error_model="numpy")
def rollout(state, elapsed, key, step, steps, first, explore, greedy, world, counts):  # type: ignore[no-untyped-def]
    index = np.empty(LANES, dtype=np.uint64)
    for begin in range(0, len(state), LANES):
        end = min(len(state), begin + LANES)
        words, own, times = np.empty((4, end - begin), dtype=np.uint32), state[begin:end], elapsed[begin:end]
        for number in range(steps):
            blocks_of_step(words, key, step + np.uint64(number), first + np.uint64(begin))
            _step(own, times, words, index, explore, greedy, world, counts)


@njit(cache=True, error_model="numpy")
def sweep(values, weights, world, gamma, bonus, q):  # type: ignore[no-untyped-def]
    outcomes, rewards = world.outcomes, world.rewards
    states, actions, kinds = outcomes.shape
    largest = 0.0
    for s in range(states):
        best = -np.inf
        for a in range(actions):
            total = 0.0
            for k in range(kinds):
                total += weights[s, a, k]
            if total > 0:
                target = 0.0
                for k in range(kinds):
                    if weights[s, a, k] > 0:
                        found = outcomes[s, a, k]
                        after = 0.0 if found & 1 else values[found >> 1]
                        target += weights[s, a, k] * (rewards[s, a, k] + gamma * after)
                target = target / total + bonus / np.sqrt(total)
                largest = max(largest, abs(target - q[s, a]))
                q[s, a] = target
            best = max(best, q[s, a])
        values[s] = best
    return largest


@njit(cache=True, error_model="numpy")
def evaluate(values, policy, chances, world, steps):  # type: ignore[no-untyped-def]
    outcomes, rewards = world.outcomes, world.rewards
    states, kinds = len(values), outcomes.shape[2]
    before = np.empty(states)
    for _ in range(steps):
        before[:] = values
        for s in range(states):
            total = 0.0
            for k in range(kinds):
                found = outcomes[s, policy[s], k]
                after = 0.0 if found & 1 else before[found >> 1]
                total += chances[s, policy[s], k] * (rewards[s, policy[s], k] + after)
            values[s] = total


@njit(cache=True, error_model="numpy")
def _largest(q):  # type: ignore[no-untyped-def]
    largest = q[0]
    for other in range(1, len(q)):
        largest = max(largest, q[other])
    return largest


@njit(cache=True, error_model="numpy")
def _best(q, largest, word):  # type: ignore[no-untyped-def]
    """The action of the largest value, which is known; the word chooses among equals."""
    action, ties = 0, np.uint64(0)
    for other in range(len(q) - 1, -1, -1):  # without branches, whose turns nobody can foretell
        equal = q[other] == largest
        ties += np.uint64(equal)
        action = other if equal else action
    if ties > 1:
        place = np.int64((np.uint64(word) * ties) >> HALF)
        while place > 0:
            action += 1
            place -= q[action] == largest
    return action


@njit(cache=True, error_model="numpy")
def _forgotten(before, new, memory, step_size):  # type: ignore[no-untyped-def]
    """The share that stays of the old value after `new` visits: prod(1 - alpha)."""
    left = 1.0
    if step_size > 0:
        factor = 1.0 - step_size
        while new > 0:
            if new & 1:
                left *= factor
            factor *= factor
            new >>= 1
        return left
    apart = max(new, memory + 1)
    for j in range(min(new, memory + 1)):
        left *= (before + j) / (before + apart + j)
        if left < 1e-20:  # nothing of it shows in a float64
            return 0.0
    return left


@njit(cache=True, error_model="numpy")
def blend(q, values, visits, counts, world, gamma, memory, step_size):  # type: ignore[no-untyped-def]
    outcomes, rewards = world.outcomes, world.rewards
    states, actions, kinds = outcomes.shape
    for s in range(states):
        for a in range(actions):
            new = 0
            for k in range(kinds):
                new += counts[s, a, k]
            if new == 0:
                continue
            target = 0.0
            for k in range(kinds):
                if counts[s, a, k] > 0:
                    found = outcomes[s, a, k]
                    after = 0.0 if found & 1 else values[found >> 1]
                    target += counts[s, a, k] * (rewards[s, a, k] + gamma * after)
            left = _forgotten(visits[s, a], new, memory, step_size)
            q[s, a] = left * q[s, a] + (1.0 - left) * (target / new)
            visits[s, a] += new
    for s in range(states):
        values[s] = q[s].max()


@njit(cache=True, error_model="numpy")
def greedy(q, words, policy):  # type: ignore[no-untyped-def]
    for s in range(len(q)):
        policy[s] = _best(q[s], _largest(q[s]), words[s])


@njit(cache=True, error_model="numpy")
def online(q, state, elapsed, key, step, steps, explore, world, gamma, memory, step_size, counts, visits):  # type: ignore[no-untyped-def]
    outcomes, rewards, limits, starts, start_limits, horizon = world
    actions, kinds = outcomes.shape[1], outcomes.shape[2]
    words, values = np.empty((4, len(state)), dtype=np.uint32), np.empty(len(q))
    for s in range(len(q)):
        values[s] = _largest(q[s])
    for number in range(steps):
        blocks_of_step(words, key, step + np.uint64(number), np.uint64(0))
        for lane in range(len(state)):
            s = state[lane]
            if np.uint64(words[0, lane]) < explore:
                a = np.int64((np.uint64(words[1, lane]) * np.uint64(actions)) >> HALF)
            else:
                a = _best(q[s], values[s], words[1, lane])
            k = np.int64(0)
            for other in range(kinds - 1):
                k += np.int64(np.uint64(words[2, lane]) >= limits[s, a, other])
            counts[s, a, k] += 1
            found = outcomes[s, a, k]
            after = 0.0 if found & 1 else values[found >> 1]
            visits[s, a] += 1
            alpha = step_size if step_size > 0 else (memory + 1) / (memory + visits[s, a])
            q[s, a] += alpha * (rewards[s, a, k] + gamma * after - q[s, a])
            values[s] = _largest(q[s])
            s = found >> 1
            time = elapsed[lane] + 1
            if found & 1 or time >= horizon:
                s = _start(words[3, lane], starts, start_limits)
                time = 0
            state[lane] = s
            elapsed[lane] = time
