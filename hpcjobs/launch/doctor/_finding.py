"""What a check is handed, and what it finds."""

import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

OK, WARNING, PROBLEM, NOT_HERE = "ok", "warning", "problem", "not here"


@dataclass(frozen=True)
class Finding:
    """What one check found; `fix` is a command ready to paste, "" where there is nothing to mend."""

    verdict: str  # ok, warning, problem, not here
    found: str
    fix: str = ""


@dataclass(frozen=True)
class Machine:
    """What the checks look at: handed in, so that another machine can be pretended."""

    folder: Path  # where runs shall lie
    ranks: int = 1
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    cores: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    root: Path = Path("/")  # where proc, sys and dev lie

    def text(self, *names: str) -> str:
        """A file of the system; "" where it cannot be read."""
        try:
            return self.root.joinpath(*names).read_text(errors="replace")
        except OSError:
            return ""


def pip(words: str) -> str:
    """The command that changes this environment, and no other."""
    return f"{shlex.quote(sys.executable)} -m pip {words}"


def set_here(machine: Machine, names: tuple[str, ...]) -> dict[str, str]:
    """Those of the variables that are set."""
    return {name: machine.environment[name] for name in names if machine.environment.get(name)}


def listed(variables: Mapping[str, str]) -> str:
    """Variables as they are written in a shell."""
    return " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
