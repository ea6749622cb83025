"""The environment that a setting names: built in, of a user's own file, or of Gymnasium."""

import hashlib
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from numpy.typing import NDArray

from hpcjobs.errors import DataError, SettingsError, nearest
from hpcjobs.jobs import load_file
from hpcjobs.jobs._qlearning_settings import Settings
from hpcjobs.rl import classic, gym, named, own
from hpcjobs.rl.simulator import Simulator
from hpcjobs.rl.table import Table
from hpcjobs.runs.code import copied, split
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.folder import settings_of as folder_settings
from hpcjobs.runs.model import Model
from hpcjobs.runs.story import tell

BUILT_IN_ONLY = ("map", "slippery", "success_rate")


def find(settings: Settings, code: Path | None = None) -> Table | Simulator:
    """The environment; a file is looked for in `code`, where a run keeps its copy, first."""
    name = settings.env
    file, attribute = split(name)
    if file is None and named.short(name) in named.BUILDERS:
        if settings.bins:
            raise SettingsError(f"--bins means nothing to {name}, whose states are numbered")
        return named.make(name, settings.map, settings.slippery, settings.success_rate, settings.time_limit)
    for field in BUILT_IN_ONLY:
        if getattr(settings, field) is not None:
            raise SettingsError(f"--{field.replace('_', '-')} means nothing to {name}")
    if file is not None:
        return of_file(name, copied(file, code), attribute, settings.bins, settings.time_limit)
    short = named.short(name)
    if short in classic.ACTIONS and (settings.bins or settings.algorithm == "pqn"):
        return classic.make(short, settings.bins, settings.time_limit)
    factory = None if short in classic.ACTIONS else gym.from_id(name)
    if factory is None and ":" in name:
        factory = _factory(name)
    if factory is not None:
        return gym.make(name, factory, settings.bins, settings.time_limit)
    return named.make(name)  # says what there is


def is_built_in(name: str) -> bool:
    """Whether a name means an environment of ours."""
    return split(name)[0] is None and named.short(name) in (*named.BUILDERS, *classic.ACTIONS)


def settings_of(model: Model) -> dict[str, Any]:
    """The settings of the run; code that they name is run for a run folder only, as `resume` does."""
    folder = RunFolder(model.file.parent)
    if model.file == folder.result and folder.settings.exists():
        found: dict[str, Any] = msgspec.to_builtins(folder_settings(folder, Settings))
        return found
    told: dict[str, Any] = tell(model.file)["settings"]
    if not is_built_in(str(told["env"])):
        raise SettingsError(f"{model.file}: its environment {told['env']} is not built in; name the folder of the run")
    return told


def refuse_another(env: Table | Simulator, what: str, result: Mapping[str, NDArray[Any]]) -> None:
    """DataError when a result was made in another environment."""
    digest = env.digest if isinstance(env, Simulator) else env.digest()
    if str(result["environment"].astype(str)).strip() != digest:
        raise DataError(f"{what}: the environment is another one now than when the result was made")


def of_file(name: str, path: Path, attribute: str, bins: int = 0, time_limit: int = 0) -> Table | Simulator:
    """The environment of that name in a user's file: of our pure steps, or a factory of Gymnasium's."""
    made = in_file(name, path, attribute)
    label = Path(name).name
    if hasattr(made, "states"):
        if bins:
            raise SettingsError(f"--bins means nothing to {label}, whose states are numbered")
        found = own.simulator(label, made, hashlib.sha256(path.read_bytes()).hexdigest(), time_limit)
        own.check(made, found)
        return found
    if not callable(made):
        own.simulator(label, made, "")  # says what is missing
    return gym.make(label, made, bins, time_limit)


def in_file(name: str, path: Path, attribute: str) -> Any:
    """What a user's file calls by that name."""
    module = load_file(path)
    known = [one for one, item in vars(module).items() if hasattr(item, "step") and hasattr(item, "reset")]
    if not attribute or not hasattr(module, attribute):
        hint = nearest(attribute, known) if known else "no environment is in it"
        raise SettingsError(f"--env {name}: expected {path.name}:Name, with the name of an environment in it; {hint}")
    return getattr(module, attribute)


def _factory(name: str) -> Any:
    """What makes the environment of `module:factory`."""
    module, _, attribute = name.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except Exception as error:
        raise SettingsError(f"--env {name}: cannot be loaded: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise SettingsError(f"--env {name}: {module} has no factory {attribute!r}")
    return found
