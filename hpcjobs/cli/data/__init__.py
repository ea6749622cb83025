"""Data sets: import, generate, inspect, verify, shuffle, split, preview."""

import importlib
import pkgutil
import sys
from typing import Any

from hpcjobs.errors import SettingsError, nearest


def main(argv: list[str]) -> int:
    """`hpcjobs data`: run one of its commands."""
    if not argv or argv[0] in ("-h", "--help"):
        print(overview(), file=sys.stdout if argv else sys.stderr)
        return 0 if argv else 2
    return int(load(argv[0]).main(argv[1:]))


def commands() -> dict[str, str]:
    """The module of each command: one file of this folder; `import` is a word of Python, so its file is `import_`."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return {name.rstrip("_"): name for name in names if not name.startswith("_")}


def load(command: str) -> Any:
    """The module of a command: `USAGE`, `main(argv)`, and `request(argv)` where it can be sent as a job."""
    found = commands()
    if command not in found:
        raise SettingsError(f"hpcjobs data: no command {command!r}; {nearest(command, found)}")
    return importlib.import_module(f"{__name__}.{found[command]}")


def overview() -> str:
    """The help text of `hpcjobs data` itself."""
    told = {command: load(command) for command in commands()}
    lines = [f"  {f'{command} {module.USAGE}':<29}{module.__doc__.splitlines()[0]}" for command, module in told.items()]
    return "\n".join(
        [
            "usage: hpcjobs data COMMAND ...",
            "",
            "commands:",
            *lines,
            "",
            "`hpcjobs data COMMAND --help` tells the flags.",
        ]
    )
