"""What can be run: one module per job, found here, under the entry point group `hpcjobs.jobs`, as ./file.py:Name, or as
package.module:Name."""

import importlib
import importlib.metadata
import importlib.util
import pkgutil
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from hpcjobs.errors import SettingsError, UserError, nearest
from hpcjobs.runs.code import split

# What `submit data COMMAND` and `submit predict` send are the modules `_data_COMMAND` and `_predict`.
DATA, PREDICT = "_data_", "_predict"
NEEDED = "`Settings` and `run(settings, context)`"


def names() -> list[str]:
    """Every job that can be named without a file."""
    theirs = [point.name for point in importlib.metadata.entry_points(group="hpcjobs.jobs")]
    return sorted({*_ours(), *theirs})


def verbs() -> dict[str, str]:
    """The module of each verb that can be sent as a job, such as `data import`, by the name of that job."""
    found = [module.name for module in pkgutil.iter_modules(__path__)]
    data = {f"data {name.removeprefix(DATA)}": name for name in found if name.startswith(DATA)}
    return data | {"predict": PREDICT}


def canonical(name: str) -> str:
    """The name under which a run keeps its job: the file of ./file.py:Name as an absolute path."""
    return str(Path(name).absolute()) if split(name)[0] else name


def is_named(name: str) -> bool:
    """Whether a name means a job, be it one that cannot be found, and not a run folder."""
    return name in names() or ((split(name)[0] is not None or ":" in name) and not Path(name).is_dir())


def find(name: str, code: Path | None = None) -> Any:
    """The job of that name: a module (or any object) with `Settings` and `run(settings, context)`.

    A package is looked for in `code`, where a run keeps its copy, then in the current folder, then where Python looks.
    """
    job: Any
    file, attribute = split(name)
    if file is not None:
        job = _from_file(file, attribute)
    elif ":" in name:
        job = _from_package(name, code)
    elif name in (*_ours(), *verbs()):
        job = importlib.import_module(f"{__name__}.{verbs().get(name, name)}")
    else:
        points = importlib.metadata.entry_points(group="hpcjobs.jobs", name=name)
        if not points:
            raise SettingsError(f"no job named {name!r}; {nearest(name, names())}")
        job = next(iter(points)).load()
    for needed in ("Settings", "run"):
        if not hasattr(job, needed):
            raise SettingsError(f"{name}: not a job: it has no {needed!r} (a job has {NEEDED})")
    return job


def installed(name: str) -> Any:
    """The job of that name if it is installed, else None: no file may make us run code that it names."""
    try:
        return find(name) if name in (*names(), *verbs()) else None
    except UserError:
        return None


def _ours() -> list[str]:
    """The modules of this folder; a leading underscore marks what jobs share."""
    return [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]


def load_file(path: Path) -> ModuleType:
    """The module of a user's file; SettingsError with its line for one that cannot be loaded."""
    if not path.is_file():
        raise SettingsError(f"{path}: no such file; what is in a file is named ./file.py:Name")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        reason = f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}"
        raise SettingsError(f"{path}{_line(error, path)}: cannot be loaded: {reason}") from error
    return module


def _from_file(path: Path, attribute: str) -> Any:
    module = load_file(path)
    if not attribute:
        return module
    if not hasattr(module, attribute):
        known = [name for name, item in vars(module).items() if hasattr(item, "Settings") and hasattr(item, "run")]
        hint = nearest(attribute, known) if known else f"name the file alone, or an object with {NEEDED}"
        raise SettingsError(f"{path}: has no {attribute!r}; {hint}")
    return getattr(module, attribute)


def _from_package(name: str, code: Path | None) -> Any:
    module, _, attribute = name.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), attribute)):
        raise SettingsError(f"{name!r} is not the name of a job: expected ./file.py:Name or package.module:Name")
    for folder in (Path.cwd(), code):
        if folder is not None and str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    try:
        found = importlib.import_module(module)
    except Exception as error:
        raise SettingsError(f"{name}: cannot be loaded: {type(error).__name__}: {error}") from error
    if not hasattr(found, attribute):
        raise SettingsError(f"{name}: {module} has no {attribute!r}")
    return getattr(found, attribute)


def _line(error: Exception, path: Path) -> str:
    """Where in the file an error arose: `, line 3`."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines.append(error.lineno)
    return f", line {lines[-1]}" if lines else ""
