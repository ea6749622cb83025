"""The few kinds of mistake a user can act on.

Every message says what is wrong, where, what was found, what was expected and what to do; the command line
prints it without a traceback and exits with code 2.
"""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake the user can mend; ends the run with exit code 2."""


class SettingsError(UserError):
    """A flag, TOML key or value that does not fit."""


class DataError(UserError):
    """A data file that is missing, damaged, hostile or of the wrong shape."""


class RunFolderError(UserError):
    """A run folder that is in use, belongs to another run, or is not a run folder."""


class LaunchError(UserError):
    """Ranks that were started in a way that cannot give the right answer."""


class SlurmError(UserError):
    """Slurm is not there, does not answer, or will not take a job."""


def nearest(wrong: str, right: Iterable[str]) -> str:
    """Say which of the `right` names the user probably meant: `; did you mean 'clusters'?` or the whole list."""
    names = sorted(right)
    close = difflib.get_close_matches(wrong, names, n=1, cutoff=0.65)
    if close:
        return f"did you mean {close[0]!r}?"
    return "known: " + ", ".join(names)
