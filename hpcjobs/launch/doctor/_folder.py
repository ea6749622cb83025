"""The folder where the runs lie: a place of ours in it, gone when a check has ended, and a look at it."""

import contextlib
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hpcjobs.errors import DataError


@contextlib.contextmanager
def aside(folder: Path) -> Iterator[Path]:
    """Make it, and remove it with all that it holds; DataError where nothing can be made."""
    try:
        place = Path(tempfile.mkdtemp(prefix=".hpcjobs-doctor-", dir=folder))
    except OSError as error:
        raise DataError(f"{folder}: nothing can be made there: {error.strerror}; choose another --folder") from None
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def show(folder: Path) -> str:
    """The command that shows owner, space and files left of a folder."""
    name = shlex.quote(str(folder))
    return f"ls -ld {name}; df -h {name}; df -i {name}"
