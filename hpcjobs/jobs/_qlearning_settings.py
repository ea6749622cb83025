"""What a Q-learning run can be told, checked before any work."""

from typing import Annotated, Literal

import msgspec

from hpcjobs.errors import SettingsError
from hpcjobs.rl.learning import Learner
from hpcjobs.rl.planning import highest
from hpcjobs.rl.table import Table
from hpcjobs.settings import fields, flag, setting

MOST = 2**31 - 1


class Pqn(msgspec.Struct, frozen=True, kw_only=True):
    """What only the deep learner is told."""

    learning_rate: Annotated[float, setting("learning rate, falls to 0", gt=0)] = 2.5e-4
    trace: Annotated[float, setting("lambda of the lambda returns", ge=0, le=1)] = 0.95
    hidden: Annotated[int, setting("units of a hidden layer", ge=1, le=4096)] = 64
    layers: Annotated[int, setting("hidden layers", ge=1, le=16)] = 2
    epochs: Annotated[int, setting("times that each round is learned from", ge=1, le=1024)] = 4
    batches: Annotated[int, setting("minibatches of an epoch", ge=1, le=65536)] = 16
    shards: Annotated[int, setting("parts of the work, which ranks share; changes the bits", ge=1, le=4096)] = 4
    waves: Annotated[int, setting("order of the cosines that observations are told by too, 0: none", ge=0, le=64)] = 0
    clip: Annotated[float, setting("largest norm of the gradient", gt=0)] = 10.0
    epsilon: Annotated[float, setting("share of random actions in the end", ge=0, le=1)] = 0.05
    exploring: Annotated[float, setting("share of the run in which it falls from 1 to that", ge=0, le=1)] = 0.2
    reward_scale: Annotated[float, setting("what rewards are multiplied by while learning", gt=0)] = 0.1
    bonus: Annotated[float, setting("reward for an observation never seen, less for others", ge=0)] = 0.0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a Q-learning run can be told."""

    env: Annotated[
        str,
        setting(
            "environment: FrozenLake, FrozenLake8x8, Taxi, CliffWalking, CliffWalkingSlippery; with --bins CartPole, "
            "MountainCar, Acrobot; your own as ./file.py:Name; one of Gymnasium by its id, or module:factory",
            kind="code",
        ),
    ]
    algorithm: Annotated[
        Literal["batch-q", "counts", "online", "pqn"],
        setting(
            "learner: Q-learning by rounds, exact sweeps on everything counted, the textbook's single steps, or deep "
            "Q-learning on continuous observations"
        ),
    ] = "batch-q"
    steps: Annotated[
        int, setting("environment steps, over all environments; whole rounds", ge=1, le=2**60, extendable=True)
    ] = 1_000_000
    gamma: Annotated[float, setting("what a reward is worth one step later", gt=0, le=1)] = 0.99
    environments: Annotated[int, setting("environments played at once, over all ranks", ge=1, le=2**28)] = 64
    round_steps: Annotated[
        int, setting("steps of each environment in a round, between two updates of the policy", ge=1, le=2**20)
    ] = 32
    map: Annotated[str | None, setting("map of a FrozenLake: SFF,FHF,FFG")] = None
    slippery: Annotated[bool | None, setting("whether steps may lead aside (default: as the environment is)")] = None
    success_rate: Annotated[
        float | None, setting("how often a step on slippery ice goes where it should, 0 to 1 (default: 1/3)")
    ] = None
    bins: Annotated[
        int, setting("cells into which each number of a continuous observation is cut (0: it is not)", ge=0, le=4096)
    ] = 0
    time_limit: Annotated[
        int, setting("steps after which an episode is cut off (0: that of the environment)", ge=0, le=MOST)
    ] = 0
    epsilon: Annotated[float, setting("share of random actions", ge=0, le=1)] = 0.3
    epsilon_steps: Annotated[
        int, setting("environment steps in which that share falls from 1 to --epsilon", ge=0, le=2**60)
    ] = 0
    step_size: Annotated[float, setting("constant step size (0: (H+1)/(H+visits), H = 1/(1-gamma))", ge=0, le=1)] = 0.0
    optimism: Annotated[
        float | None,
        setting("value of what was never tried (default: the least bound of the rewards; 0 where they are not known)"),
    ] = None
    bonus: Annotated[float, setting("counts: added to a value while learning is this / sqrt(visits)", ge=0)] = 0.0
    sweeps: Annotated[int, setting("counts: sweeps over all states after each round", ge=1, le=10**6)] = 8
    pqn: Annotated[Pqn, setting("pqn: settings of its own, as trace=0.8,hidden=128 or a table")] = Pqn()
    seed: Annotated[int, setting("seed of everything random", ge=0)] = 0
    allow_other_numerics: Annotated[
        bool,
        setting("pqn: go on where floating-point bits are others: other libraries, BLAS, CPU", extendable=True),
    ] = False
    checkpoint_every: Annotated[
        int, setting("save a checkpoint every so many rounds (0: by time only)", ge=0, volatile=True)
    ] = 0
    checkpoint_seconds: Annotated[
        float, setting("save a checkpoint every so many seconds (0: by rounds only)", ge=0, volatile=True)
    ] = 60.0


def check_values(settings: Settings) -> None:
    """Find every mistake but those of the environment."""
    if settings.success_rate is not None and not 0.0 <= settings.success_rate <= 1.0:
        raise SettingsError(f"--success-rate is {settings.success_rate}: expected a number from 0 to 1")
    for name, usual in (("bonus", 0.0), ("sweeps", 8)):
        if settings.algorithm != "counts" and getattr(settings, name) != usual:
            raise SettingsError(f"--{name} means nothing to --algorithm {settings.algorithm}; it is for counts")
    if settings.algorithm == "pqn":
        for name in ("epsilon", "epsilon_steps", "step_size", "optimism"):
            if getattr(settings, name) != fields(Settings)[name][2]:
                raise SettingsError(f"{flag(name)} means nothing to --algorithm pqn; see --pqn")
    elif settings.pqn != Pqn():
        raise SettingsError(f"--pqn means nothing to --algorithm {settings.algorithm}")
    if settings.algorithm == "counts" and settings.step_size > 0:
        raise SettingsError("--step-size means nothing to --algorithm counts, which takes no steps")


def learner_of(settings: Settings, time_limit: int) -> Learner:
    """How to learn in an environment with that time limit."""
    memory = time_limit if settings.gamma == 1.0 else round(1.0 / (1.0 - settings.gamma))
    return Learner(
        algorithm=settings.algorithm,
        gamma=settings.gamma,
        seed=settings.seed,
        environments=settings.environments,
        round_steps=settings.round_steps,
        epsilon=settings.epsilon,
        epsilon_steps=settings.epsilon_steps,
        memory=min(memory, MOST),
        step_size=settings.step_size,
        bonus=settings.bonus,
        sweeps=settings.sweeps,
    )


def optimism_of(settings: Settings, table: Table | None) -> float:
    """The value of what was never tried; 0 unless it is given, in an environment whose rewards are not known before."""
    if settings.optimism is not None:
        return settings.optimism
    return 0.0 if table is None else highest(table, settings.gamma)
