"""The command line: one file per verb. A verb is a module with a one-line docstring and `main(argv) -> exit code`."""

import argparse
import importlib
import pkgutil
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from hpcjobs import __version__
from hpcjobs.errors import SettingsError, nearest


class Parser(argparse.ArgumentParser):
    """argparse that says its mistakes as every other part of hpcjobs does, and names the nearest right flag."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **options)
        # argparse knows -1 and -0.5 as values, but would take -1e-3 and -inf for flags
        self._negative_number_matcher = re.compile(r"-(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$|-(inf|nan)$", re.IGNORECASE)

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """Parse all of `argv`; SettingsError for what is unknown."""
        empty = next((word for word in argv if word.startswith("--") and word.endswith("=--")), None)
        if empty:  # argparse would drop the value
            raise SettingsError(f"{self.prog}: {empty[:-3]} is '--': not a value")
        if sum(word == "--data" or word.startswith("--data=") for word in argv) > 1:
            raise SettingsError(
                f"{self.prog}: --data is given twice; rows of several files are joined by their ids first: "
                "hpcjobs data join A.h5 B.h5 OUT.h5"
            )
        found, unknown = self.parse_known_args(argv)
        if unknown:
            wrong = unknown[0].split("=")[0]
            known = [flag for action in self._actions for flag in action.option_strings if flag.startswith("--")]
            what = "flag" if wrong.startswith("-") else "argument"
            hint = nearest(wrong, known) if what == "flag" else f"see {self.prog} --help"
            raise SettingsError(f"{self.prog}: unknown {what} {wrong}; {hint}")
        return found

    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{self.prog}: {message}; see {self.prog} --help")


def verbs() -> list[str]:
    """Every verb there is; a leading underscore marks what verbs share."""
    names = (module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in names if not name.startswith("-"))


def load(verb: str) -> Any:
    """The module of a verb."""
    if verb not in verbs():
        raise SettingsError(f"hpcjobs: no command {verb!r}; {nearest(verb, verbs())}")
    return importlib.import_module(f"{__name__}.{verb.replace('-', '_')}")


def dispatch(argv: Sequence[str]) -> int:
    """Run one command; returns its exit code."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(overview(), file=sys.stdout if argv else sys.stderr)
        return 0 if argv else 2
    if argv[0] == "--version":
        print(f"hpcjobs {__version__}")
        return 0
    return int(load(argv[0]).main([*argv[1:]]))  # `list` is a verb of this package


def overview() -> str:
    """The help text of `hpcjobs` itself."""
    lines = [
        "usage: hpcjobs COMMAND ...",
        "",
        "Distributed jobs for Slurm and MPI clusters.",
        "",
        "commands:",
    ]
    lines += [f"  {verb:<12}{(load(verb).__doc__ or '').splitlines()[0]}" for verb in verbs()]
    lines += ["", "`hpcjobs COMMAND --help` tells more; `hpcjobs --version` tells the version."]
    return "\n".join(lines)
