"""Environment steps a second: ours against Gymnasium's vector environments, and EnvPool and gymnax where installed.

    python -m benchmarks qlearning [--turns 5]

One core for each side, random actions on both sides, automatic resets, a checksum of the last states; both sides at the
best of several numbers of environments. The learners stand on rows of their own: their steps include all learning.
Last, learners on one rank and on two with twice the environments, each rank on a core of its own.
"""

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fair import clean_start, machine, take_turns

if __name__ == "__main__":
    clean_start(2)

OURS = (64, 1024, 16384)
THEIRS = (16, 64, 1024)
STEPS = 2**22  # of ours in a turn
CLASSIC = {"CartPole": "CartPole-v1", "MountainCar": "MountainCar-v0", "Acrobot": "Acrobot-v1"}
TABLES = {"FrozenLake8x8": "FrozenLake8x8-v1", "Taxi": "Taxi-v4", "CliffWalking": "CliffWalking-v1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--side", nargs=2, metavar=("ENV", "LEARNER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    turns, cores = given.turns, os.sched_getaffinity(0)
    if given.side:
        on_ranks(*given.side)
        return
    print(machine())
    os.sched_setaffinity(0, {min(cores)})
    print(f"{'environment':16} {'side':12} {'M steps/s':>10} {'ratio':>8}  environments, checksum of the last states")
    for name, theirs in (TABLES | CLASSIC).items():
        make = table_side if name in TABLES else classic_side
        sides = {f"hpcjobs {lanes}": make(name, lanes) for lanes in OURS}
        sides |= {f"Gymnasium {lanes}": gymnasium_side(theirs, lanes) for lanes in THEIRS}
        if task := known_to_envpool(theirs):
            sides |= {f"EnvPool {lanes}": envpool_side(task, lanes) for lanes in THEIRS}
        if name in CLASSIC and importlib.util.find_spec("gymnax"):
            sides |= {f"gymnax {lanes}": gymnax_side(theirs, lanes) for lanes in OURS}
        report(name, sides, turns)
    for name in TABLES:
        lanes = {"batch-q": 16384, "counts": 16384, "online": 64}
        sides = {f"{learner} {many}": learner_side(name, learner, many) for learner, many in lanes.items()}
        report(name, sides, turns)
    os.sched_setaffinity(0, cores)
    if len(cores) > 1:
        for learner in ("batch-q", "counts"):
            for name in TABLES:
                scaling(name, learner, turns)


def report(name: str, sides: dict[str, tuple[Callable[[], object], int]], turns: int) -> None:
    """The best of each side; a side is what runs it and the steps that it makes."""
    checks: dict[str, object] = {}

    def turn(side: str) -> Callable[[], None]:
        return lambda: checks.update({side: sides[side][0]()})

    seconds = take_turns({side: turn(side) for side in sides}, turns)
    rates = {side: sides[side][1] / seconds[side] / 1e6 for side in sides}
    kinds = dict.fromkeys(side.split()[0] for side in sides)
    best = {
        kind: max((side for side in sides if side.split()[0] == kind), key=lambda side: rates[side]) for kind in kinds
    }
    first = rates[next(iter(best.values()))]
    for kind, side in best.items():
        told = f"{side.split()[1]}, {checks[side]}"
        print(f"{name:16} {kind:12} {rates[side]:10.3f} {first / rates[side]:7.1f}x  {told}", flush=True)


def table_side(name: str, lanes: int) -> tuple[Callable[[], object], int]:
    import numpy as np

    from hpcjobs.kernels.tabular import rollout
    from hpcjobs.rl.named import make

    table = make(name)
    state, elapsed = np.full(lanes, table.starts[0]), np.zeros(lanes, dtype=np.int32)
    counts, policy = np.zeros(table.outcomes.shape, dtype=np.int64), np.zeros(table.pairs[0], dtype=np.int32)
    key, every, zero, steps = np.array([1, 2], dtype=np.uint32), np.uint64(2**32), np.uint64(0), STEPS // lanes

    def run() -> str:
        rollout(state, elapsed, key, zero, steps, zero, every, policy, table.world, counts)
        return f"{state.sum()}"

    return run, steps * lanes


def classic_side(name: str, lanes: int) -> tuple[Callable[[], object], int]:
    import numpy as np

    from hpcjobs.kernels import classic

    which, keys, zero = classic.NAMES.index(name), np.array([[1, 2], [3, 4]], dtype=np.uint32), np.uint64(0)
    words = np.random.default_rng(0).integers(0, 2**32, (4, lanes), dtype=np.uint32)
    state, elapsed, steps = classic.start(words, which), np.zeros(lanes, dtype=np.int32), STEPS // 4 // lanes

    def run() -> str:
        classic.wander(state, elapsed, keys, zero, steps, zero, which)
        return f"{state.sum():.6f}"

    return run, steps * lanes


def learner_side(
    name: str, algorithm: Any, lanes: int, communicator: Any = None, ranks: int = 1
) -> tuple[Callable[[], object], int]:
    """Learning on `lanes` environments a rank."""
    from hpcjobs.jobs._qlearning_settings import Settings, learner_of, optimism_of
    from hpcjobs.parallel.communicator import SerialCommunicator
    from hpcjobs.rl.learning import play
    from hpcjobs.rl.named import make
    from hpcjobs.rl.position import begin, restore

    settings = Settings(env=name, algorithm=algorithm, environments=lanes * ranks, round_steps=STEPS // 4 // lanes)
    table = make(settings.env)
    learner, all_ranks = learner_of(settings, table.time_limit), communicator or SerialCommunicator()
    at = restore(begin(table, optimism_of(settings, table), 0, lanes * ranks), 0, all_ranks)

    def run() -> str:
        for _ in range(4):
            play(learner, table, at, all_ranks)
        return f"{at.q.sum():.6f}"

    return run, 4 * learner.steps_of_round


def scaling(name: str, algorithm: str, turns: int) -> None:
    """The rate on one rank and on two, in turns."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    command = [sys.executable, str(Path(__file__)), "--side", name, algorithm]
    for _ in range(turns):
        for ranks, found in rates.items():
            started = [str(Path(sys.executable).with_name("mpiexec")), "-bind-to", "core", "-n", str(ranks), *command]
            done = subprocess.run(started, check=True, stdout=subprocess.PIPE, text=True)
            found.append(float(done.stdout.splitlines()[-1]))
    one, two = (statistics.median(found) for found in rates.values())
    print(f"{name:16} {algorithm:8} {one:7.1f} M steps/s on 1 rank, {two:7.1f} on 2: {two / one / 2:.0%} of twice that")


def on_ranks(name: str, algorithm: str) -> None:
    """What each rank does for `scaling`; the first tells the rate."""
    from hpcjobs.parallel.starter import world

    communicator = world()
    run, steps = learner_side(name, algorithm, 16384, communicator, communicator.size)
    seconds = take_turns({"": run}, 5)[""]
    if communicator.rank == 0:
        print(steps / seconds / 1e6)


def known_to_envpool(name: str) -> str | None:
    """The name of the same environment there, whatever its version."""
    if not importlib.util.find_spec("envpool"):
        return None
    import envpool  # type: ignore[import-not-found]

    names: list[str] = envpool.list_all_envs()
    return next((found for found in sorted(names, reverse=True) if found.startswith(name.rpartition("v")[0])), None)


def gymnasium_side(name: str, lanes: int) -> tuple[Callable[[], object], int]:
    import gymnasium

    vectorised = gymnasium.spec(name).vector_entry_point is not None
    envs = gymnasium.make_vec(name, num_envs=lanes, vectorization_mode="vector_entry_point" if vectorised else "sync")
    return stepping(envs, lanes, 2**18 if vectorised else 2**13)


def envpool_side(name: str, lanes: int) -> tuple[Callable[[], object], int]:
    import envpool

    return stepping(envpool.make_gymnasium(name, num_envs=lanes, num_threads=1), lanes, 2**17)


def gymnax_side(name: str, lanes: int) -> tuple[Callable[[], object], int]:
    """All steps in one compiled scan, actions drawn in it."""
    import gymnax  # type: ignore[import-not-found]
    import jax  # type: ignore[import-not-found]

    env, parameters = gymnax.make(name)
    steps = 2**18 // lanes
    reset, step = (
        jax.vmap(found, in_axes=axes) for found, axes in ((env.reset, (0, None)), (env.step, (0, 0, 0, None)))
    )

    def one(carry: Any, key: Any) -> tuple[Any, None]:
        state, _ = carry
        acting, stepping = jax.random.split(key)
        action = jax.random.randint(acting, (lanes,), 0, env.num_actions)
        observed, state, *_ = step(jax.random.split(stepping, lanes), state, action, parameters)
        return (state, observed), None

    @jax.jit  # type: ignore[untyped-decorator]
    def walk(carry: Any, key: Any) -> Any:
        return jax.lax.scan(one, carry, jax.random.split(key, steps))[0]

    observed, state = reset(jax.random.split(jax.random.key(0), lanes), parameters)
    at = [(state, observed)]

    def run() -> str:
        at[0] = walk(at[0], jax.random.key(1))
        return f"{float(at[0][1].sum()):.6f}"

    return run, steps * lanes


def stepping(envs: Any, lanes: int, total: int) -> tuple[Callable[[], object], int]:
    """Random actions, drawn beforehand, in an environment with the interface of Gymnasium."""
    import numpy as np

    space = getattr(envs, "single_action_space", envs.action_space)
    actions = np.random.default_rng(0).integers(0, space.n, (max(1, total // lanes), lanes))
    envs.reset()

    def run() -> str:
        for action in actions:
            observed, *_ = envs.step(action)
        return f"{float(np.sum(observed)):.6f}"

    return run, actions.size


if __name__ == "__main__":
    main()
