"""Libraries that only some commands need."""

import importlib
from typing import Any

from hpcjobs.errors import SettingsError


def load(module: str, extra: str, what: str) -> Any:
    """A module of an extra; SettingsError says how to get it, and what for."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise SettingsError(f"{what} needs {library} ({error}): pip install 'hpcjobs[{extra}]'") from None
