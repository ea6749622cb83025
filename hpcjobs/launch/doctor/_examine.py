"""All checks in their order; one that fails or hangs is a finding as well."""

import importlib
import pkgutil
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import hpcjobs.launch.doctor
from hpcjobs.errors import UserError
from hpcjobs.launch.doctor._finding import NOT_HERE, OK, PROBLEM, WARNING, Finding, Machine
from hpcjobs.launch.doctor._folder import show

Check = Callable[[Machine], Finding]
LIMIT_S = 75.0  # longer than any check waits for a process of its own
REPORT = "hpcjobs --version  # please report this line with it"
GRAVITY = (NOT_HERE, OK, WARNING, PROBLEM)


def topics() -> list[Any]:
    """The modules of checks by their `PLACE`; a leading underscore marks what they share."""
    home = hpcjobs.launch.doctor
    names = [module.name for module in pkgutil.iter_modules(home.__path__) if not module.name.startswith("_")]
    return sorted((importlib.import_module(f"{home.__name__}.{name}") for name in names), key=lambda topic: topic.PLACE)


def examine(machine: Machine) -> Iterator[tuple[str, Finding]]:
    """Every check by name with what it found, as it comes."""
    for topic in topics():
        checks: Mapping[str, Check] = topic.CHECKS
        for name, check in checks.items():
            yield name, guarded(check, machine)


def guarded(check: Check, machine: Machine, limit_s: float = LIMIT_S) -> Finding:
    """What a check finds, whatever befalls it: a file system that hangs cannot be interrupted, only left alone."""
    found: list[Finding] = []

    def look() -> None:
        try:
            found.append(check(machine))
        except UserError as mistake:  # what checks leave to us is a folder that does not do what it should
            found.append(Finding(PROBLEM, str(mistake), show(machine.folder)))
        except Exception as error:
            found.append(Finding(WARNING, f"the check itself failed: {type(error).__name__}: {error}", REPORT))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(limit_s)
    return found[0] if found else Finding(PROBLEM, f"no answer within {limit_s:g} s", show(machine.folder))


def worst(findings: list[Finding]) -> str:
    """The gravest verdict."""
    return max((finding.verdict for finding in findings), key=GRAVITY.index, default=OK)
