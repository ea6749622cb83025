"""What users call columns: by name, or by 0-based number."""

from pathlib import Path

from hpcjobs.errors import SettingsError, nearest


def column_name(names: tuple[str, ...], column: int) -> str:
    """How to speak of a column."""
    return repr(names[column]) if names else str(column)


def find_column(path: Path, names: tuple[str, ...], width: int, flag: str, wanted: str) -> int:
    """The position of the column that the user calls `wanted`; `names` is empty where there are none."""
    if names.count(wanted) > 1:
        raise SettingsError(f"{flag} {wanted}: {path} has several such columns; use 0-based numbers")
    if wanted in names:
        return names.index(wanted)
    if wanted.isascii() and wanted.isdigit() and int(wanted) < width:
        return int(wanted)
    known = nearest(wanted, names) if names else "there is no header, so use numbers"
    raise SettingsError(f"{flag} {wanted}: no such column among the {width} of {path}; {known}")
