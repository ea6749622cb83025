"""A page as plain data, and the one HTML file that it becomes: no script, nothing to load, all text escaped."""

import base64
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hpcjobs.errors import SettingsError
from hpcjobs.report.figures import draw
from hpcjobs.report.kinds import Figure
from hpcjobs.runs.wording import line

# The longest text that is shown whole.
LONGEST = 1000


@dataclass(frozen=True)
class Grid:
    """A table; `title` is its caption."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Snippet:
    """Lines to copy, or to read as they are."""

    title: str
    lines: Sequence[str]


@dataclass(frozen=True)
class Section:
    """A heading with what stands below it, in this order."""

    title: str
    text: Sequence[str] = ()
    facts: Sequence[tuple[str, Any]] = ()
    figures: Sequence[Figure] = ()
    grids: Sequence[Grid] = ()
    snippets: Sequence[Snippet] = ()


@dataclass(frozen=True)
class Page:
    """The verdict, in words, and the sections; `tone` is good, bad or open."""

    title: str
    kind: str
    verdict: str
    tone: str
    sections: Sequence[Section]
    made: str
    text: Sequence[str] = ()


def require() -> None:
    """SettingsError when a library that pages need is not installed."""
    missing = [name for name in ("jinja2", "matplotlib") if importlib.util.find_spec(name) is None]
    if missing:
        raise SettingsError(
            f"hpcjobs report needs {' and '.join(missing)}, not installed here: pip install 'hpcjobs[report]'"
        )


def render(page: Page) -> bytes:
    """The page as HTML."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hpcjobs", "report"),
        autoescape=True,
        finalize=shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["image"] = _image
    return environment.get_template("page.html.j2").render(page=page).encode()


def shown(value: Any) -> Any:
    """A value as it stands on the page: one line, at most LONGEST signs of it, nothing that steers a terminal or turns
    text around. Markup of ours passes."""
    from markupsafe import Markup

    if isinstance(value, Markup):
        return value
    text = str(value)
    indent = len(text) - len(text.lstrip(" "))
    text = " " * min(indent, LONGEST) + line(text[: 2 * LONGEST])
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… (cut: too long for a page)"


def _image(figure: Figure) -> Any:
    """A drawn figure as the address of an image, which keeps whatever is in it apart from the page."""
    from markupsafe import Markup

    return Markup("data:image/svg+xml;base64,") + base64.b64encode(draw(figure).encode()).decode()
