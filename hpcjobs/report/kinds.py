"""Figures as plain descriptions: a job says what is to be seen, `report/figures.py` draws it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

MOST_NUMBERED = 40


@dataclass(frozen=True)
class Material:
    """What a job draws its figures from; what is not there, or too large, is left out.

    `result` are the arrays of `/result` by name, `history` the logged columns with `step`, `rows` (sample, features)
    some rows of the input and `picked` (sample,) their numbers; `image` is the shape of a row that is one, else ().
    """

    result: Mapping[str, NDArray[Any]]
    history: Mapping[str, Sequence[float]]
    rows: NDArray[Any] | None = None
    picked: NDArray[Any] | None = None
    image: tuple[int, ...] = ()


@dataclass(frozen=True)
class Line:
    """One line of a curve; a `faint` one stands back behind the others."""

    x: Sequence[float]
    y: Sequence[float]
    name: str = ""
    faint: bool = False


@dataclass(frozen=True)
class Curve:
    """Lines over a common axis; `points` are marked where they are few enough to be told apart."""

    title: str
    caption: str
    alt: str  # what a reader who does not see it should know
    lines: Sequence[Line]
    x_label: str
    y_label: str
    points: bool = False


@dataclass(frozen=True)
class Bars:
    """One bar for each of 0, 1, 2, ..."""

    title: str
    caption: str
    alt: str
    values: NDArray[Any]
    x_label: str
    y_label: str


@dataclass(frozen=True)
class Scatter:
    """Points (n, 2) coloured by their group (n,), -1 for none, and marks (groups, 2) on top of them.

    Up to MOST_NUMBERED marks have their numbers.
    """

    title: str
    caption: str
    alt: str
    points: NDArray[Any]
    groups: NDArray[Any]
    marks: NDArray[Any]
    x_label: str
    y_label: str


@dataclass(frozen=True)
class Images:
    """Images (n, height, width) or (n, height, width, 3) side by side, each with its name."""

    title: str
    caption: str
    alt: str
    images: NDArray[Any]
    names: Sequence[str]


Figure = Curve | Bars | Scatter | Images
