"""What a Q-learning run can be told, checked before any work."""

from typing import Annotated, Literal

import msgspec

from hpcjobs.errors import SettingsError
from hpcjobs.rl.learning import Learner
from hpcjobs.rl.named import make
from hpcjobs.rl.planning import highest
from hpcjobs.rl.table import Table
from hpcjobs.settings import setting

MOST = 2**31 - 1


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a Q-learning run can be told."""

    env: Annotated[str, setting("environment: FrozenLake, FrozenLake8x8, Taxi, CliffWalking, CliffWalkingSlippery")]
    algorithm: Annotated[
        Literal["batch-q", "counts", "online"],
        setting("learner: Q-learning by rounds, exact sweeps on everything counted, or the textbook's single steps"),
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
    time_limit: Annotated[
        int, setting("steps after which an episode is cut off (0: that of the environment)", ge=0, le=MOST)
    ] = 0
    epsilon: Annotated[float, setting("share of random actions", ge=0, le=1)] = 0.3
    epsilon_steps: Annotated[
        int, setting("environment steps in which that share falls from 1 to --epsilon", ge=0, le=2**60)
    ] = 0
    step_size: Annotated[float, setting("constant step size (0: (H+1)/(H+visits), H = 1/(1-gamma))", ge=0, le=1)] = 0.0
    optimism: Annotated[
        float | None, setting("value of what was never tried (default: the least bound that the rewards allow)")
    ] = None
    bonus: Annotated[float, setting("counts: added to a value while learning is this / sqrt(visits)", ge=0)] = 0.0
    sweeps: Annotated[int, setting("counts: sweeps over all states after each round", ge=1, le=10**6)] = 8
    seed: Annotated[int, setting("seed of everything random", ge=0)] = 0
    checkpoint_every: Annotated[
        int, setting("save a checkpoint every so many rounds (0: by time only)", ge=0, volatile=True)
    ] = 0
    checkpoint_seconds: Annotated[
        float, setting("save a checkpoint every so many seconds (0: by rounds only)", ge=0, volatile=True)
    ] = 60.0


def check(settings: Settings) -> None:
    """Find every mistake; nothing is read from files."""
    if settings.success_rate is not None and not 0.0 <= settings.success_rate <= 1.0:
        raise SettingsError(f"--success-rate is {settings.success_rate}: expected a number from 0 to 1")
    table_of(settings)
    for name, usual in (("bonus", 0.0), ("sweeps", 8)):
        if settings.algorithm != "counts" and getattr(settings, name) != usual:
            raise SettingsError(f"--{name} means nothing to --algorithm {settings.algorithm}; it is for counts")
    if settings.algorithm == "counts" and settings.step_size > 0:
        raise SettingsError("--step-size means nothing to --algorithm counts, which takes no steps")


def table_of(settings: Settings) -> Table:
    """The environment."""
    return make(settings.env, settings.map, settings.slippery, settings.success_rate, settings.time_limit)


def learner_of(settings: Settings, table: Table) -> Learner:
    """How to learn."""
    memory = table.time_limit if settings.gamma == 1.0 else round(1.0 / (1.0 - settings.gamma))
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


def optimism_of(settings: Settings, table: Table) -> float:
    """The value of what was never tried."""
    return highest(table, settings.gamma) if settings.optimism is None else settings.optimism
