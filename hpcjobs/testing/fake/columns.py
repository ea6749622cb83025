"""The columns that squeue and sinfo are asked for: %i, %.18i, and the words between them."""

import re
from collections.abc import Mapping, Sequence

Cell = tuple[str, int, bool, str]  # a letter, a width (0: as it comes), whether it stands at the right, text behind it


def read(form: str) -> tuple[str, list[Cell]]:
    """The text before the first column, and the columns with what follows each."""
    cells: list[Cell] = []
    start = 0
    lead = ""
    for found in re.finditer(r"%(\.?)(\d*)([A-Za-z])", form):
        between = form[start : found.start()]
        if cells:
            letter, width, right, _ = cells[-1]
            cells[-1] = (letter, width, right, between)
        else:
            lead = between
        cells.append((found[3], int(found[2] or 0), bool(found[1]), ""))
        start = found.end()
    if cells:
        letter, width, right, _ = cells[-1]
        cells[-1] = (letter, width, right, form[start:])
    return lead, cells


def line(layout: tuple[str, list[Cell]], values: Mapping[str, str]) -> str:
    """One line of an answer; `values` has what stands in the column of each letter."""
    lead, cells = layout
    texts = (fitted(values.get(letter, "(null)"), width, right) + behind for letter, width, right, behind in cells)
    return lead + "".join(texts)


def fitted(text: str, width: int, right: bool) -> str:
    """Cut or filled to a width."""
    if not width:
        return text
    return text[:width].rjust(width) if right else text[:width].ljust(width)


def long_form(names: str, letters: Mapping[str, str], widths: int = 20) -> tuple[str, Sequence[str]]:
    """A --Format list, `jobid:10,state`, as a --format, and the names that nobody knows."""
    parts: list[str] = []
    unknown: list[str] = []
    for part in names.split(","):
        name, _, width = part.partition(":")
        letter = letters.get(name.strip().lower())
        if letter is None:
            unknown.append(name)
        else:
            parts.append(f"%{width or widths}{letter}")
    return "".join(parts), unknown
