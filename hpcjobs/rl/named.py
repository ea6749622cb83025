"""Environments by name, with what may be asked of each."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from hpcjobs.errors import SettingsError, nearest
from hpcjobs.rl.environments import cliff_walking, frozen_lake, taxi
from hpcjobs.rl.table import Table

VERSION = re.compile(r"-v\d+$")
CONTINUOUS = ("Acrobot", "CartPole", "MountainCar")


def short(name: str) -> str:
    """The name here of an environment of Gymnasium: without its version."""
    return VERSION.sub("", name)


@dataclass(frozen=True)
class Options:
    """What was asked of an environment; None where nothing was."""

    map_text: str | None = None
    slippery: bool | None = None
    success_rate: float | None = None
    time_limit: int = 0  # that of the environment

    def refuse(self, name: str, *fields: str) -> None:
        """SettingsError for options that mean nothing to an environment."""
        for field in fields:
            if getattr(self, field) is not None:
                raise SettingsError(f"--{field.removesuffix('_text').replace('_', '-')} means nothing to {name}")


def make(
    name: str,
    map_text: str | None = None,
    slippery: bool | None = None,
    success_rate: float | None = None,
    time_limit: int = 0,
) -> Table:
    """The table of a built-in environment, by its name here or at Gymnasium; SettingsError for any other."""
    found = short(name)
    if found in CONTINUOUS:
        raise SettingsError(
            f"--env {name}: its observations are continuous, and tables need finitely many states; cut each of its "
            f"numbers into cells with --bins, or take one of {', '.join(BUILDERS)}"
        )
    if found not in BUILDERS:
        raise SettingsError(
            f"--env {name}: no such environment; {nearest(found, (*BUILDERS, *CONTINUOUS))}; your own is named "
            "./file.py:Name, one of Gymnasium that is not built in module:Name"
        )
    return BUILDERS[found](found, Options(map_text, slippery, success_rate, time_limit))


def _lake(name: str, options: Options) -> Table:
    rows = frozen_lake.MAPS[name] if options.map_text is None else frozen_lake.parse(options.map_text)
    slippery = options.slippery is not False
    if not slippery:
        options.refuse(f"{name} with --no-slippery", "success_rate")
    rate = 1.0 / 3.0 if options.success_rate is None else options.success_rate
    return frozen_lake.make(name, rows, slippery, rate, options.time_limit or frozen_lake.TIME_LIMITS[name])


def _taxi(name: str, options: Options) -> Table:
    options.refuse(name, "map_text", "slippery", "success_rate")
    return taxi.make(options.time_limit or taxi.TIME_LIMIT)


def _cliff(name: str, options: Options) -> Table:
    options.refuse(name, "map_text", "success_rate")
    return cliff_walking.make(bool(options.slippery), options.time_limit or cliff_walking.TIME_LIMIT)


def _slippery_cliff(name: str, options: Options) -> Table:
    options.refuse(name, "map_text", "success_rate", "slippery")
    return cliff_walking.make(True, options.time_limit or cliff_walking.TIME_LIMIT)


BUILDERS: dict[str, Callable[[str, Options], Table]] = {
    "FrozenLake": _lake,
    "FrozenLake8x8": _lake,
    "Taxi": _taxi,
    "CliffWalking": _cliff,
    "CliffWalkingSlippery": _slippery_cliff,
}
