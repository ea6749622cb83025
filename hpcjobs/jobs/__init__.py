"""What can be run: one module per job, found here, under the entry point group `hpcjobs.jobs`, or as ./file.py:Name."""

import importlib
import importlib.metadata
import importlib.util
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import Any

from hpcjobs.errors import SettingsError, nearest


def names() -> list[str]:
    """Every job that can be named without a file."""
    theirs = [point.name for point in importlib.metadata.entry_points(group="hpcjobs.jobs")]
    return sorted({*_ours(), *theirs})


def canonical(name: str) -> str:
    """The name under which a run keeps its job: the file of ./file.py:Name as an absolute path."""
    return str(Path(name).absolute()) if ".py" in name else name


def find(name: str) -> Any:
    """The job of that name: a module (or any object) with `Settings` and `run(settings, context)`."""
    job: Any
    if ".py:" in name or name.endswith(".py"):
        job = _from_file(name)
    elif name in _ours():
        job = importlib.import_module(f"{__name__}.{name}")
    else:
        points = importlib.metadata.entry_points(group="hpcjobs.jobs", name=name)
        if not points:
            raise SettingsError(f"no job named {name!r}; {nearest(name, names())}")
        job = next(iter(points)).load()
    for needed in ("Settings", "run"):
        if not hasattr(job, needed):
            raise SettingsError(
                f"{name}: not a job: it has no {needed!r} (a job has `Settings` and `run(settings, context)`)"
            )
    return job


def _ours() -> list[str]:
    """The modules of this folder; a leading underscore marks what jobs share."""
    return [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]


def _from_file(name: str) -> Any:
    file, _, attribute = name.partition(".py:")
    path = Path(file if file.endswith(".py") else file + ".py")
    if not path.is_file():
        raise SettingsError(f"{path}: no such file; a job is named ./file.py:Name")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not attribute:
        return module
    if not hasattr(module, attribute):
        raise SettingsError(f"{path}: has no {attribute!r}; {nearest(attribute, vars(module))}")
    return getattr(module, attribute)
