"""The data sets that come with hpcjobs: `example:digits.csv`, in a checkout and in a wheel alike."""

from pathlib import Path

from hpcjobs.errors import DataError, nearest

FOLDER = Path(__file__).parents[1] / "examples"
PREFIX = "example:"


def resolve(source: str) -> str:
    """The path that `example:NAME` stands for; any other source as it is."""
    if not source.startswith(PREFIX):
        return source
    name = source.removeprefix(PREFIX)
    known = [path.name for path in FOLDER.glob("*.csv")]
    if name not in known:
        raise DataError(f"{source}: no such example; {nearest(name, known)}")
    return str(FOLDER / name)
