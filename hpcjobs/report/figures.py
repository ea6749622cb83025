"""Figure descriptions as SVG: the same text for the same figure, whatever the user's own matplotlib looks like."""

import io
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.report.kinds import MOST_NUMBERED, Bars, Curve, Figure, Images, Scatter

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (5.0, 3.4)  # inches; narrow, so that its text can still be read on a phone
STYLE: Any = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "grid.color": "#e3e6ea",
    "legend.frameon": False,
    "savefig.dpi": 200,
    "svg.fonttype": "path",
    "svg.hashsalt": "hpcjobs",
    "text.parse_math": False,  # names of columns may hold dollars
}
BLUE, FAINT, INK, NONE = "#1f5fa8", "#b9c4d0", "#1b1f24", "#c9cfd6"
LONGEST_LABEL = 40
# From here on bars are one outline, and points one image.
MANY = 100
MARGIN = 0.05
FARTHEST = 1e300  # the width of an axis must be a number too


def draw(figure: Figure) -> str:
    """The figure as an SVG document of its own."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    out = io.StringIO()
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # signs that the font does not have
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        canvas = Canvas(figsize=SIZE, layout="constrained")
        FigureCanvasSVG(canvas)
        axes = canvas.add_subplot()
        axes.set_axisbelow(True)
        match figure:
            case Curve():
                _curve(axes, figure)
            case Bars():
                _bars(axes, figure)
            case Scatter():
                _scatter(axes, figure)
            case Images():
                _images(axes, figure)
        canvas.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()


def _label(text: str) -> str:
    return text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + "…"


def _curve(axes: "Axes", figure: Curve) -> None:
    strong = [line for line in figure.lines if not line.faint]
    for line in sorted(figure.lines, key=lambda line: not line.faint):
        few = len(line.x) <= MANY
        axes.plot(
            np.asarray(line.x, dtype=float),
            np.asarray(line.y, dtype=float).clip(-FARTHEST, FARTHEST),
            color=FAINT if line.faint else BLUE if len(strong) == 1 else None,
            marker="o" if figure.points and few else None,
            markersize=4,
            linewidth=1 if line.faint else 1.8,
            label=_label(line.name) if line.name else None,
        )
    if any(line.name for line in figure.lines):
        axes.legend()
    if all(float(x).is_integer() for line in figure.lines for x in line.x):
        _whole_numbers(axes)
    axes.set_xlabel(_label(figure.x_label))
    axes.set_ylabel(_label(figure.y_label))


def _bars(axes: "Axes", figure: Bars) -> None:
    values = np.asarray(figure.values, dtype=float)
    if len(values) <= MANY:
        axes.bar(np.arange(len(values)), values, color=BLUE)
    else:
        axes.stairs(values, np.arange(len(values) + 1) - 0.5, fill=True, color=BLUE)
    axes.grid(visible=False, axis="x")
    _whole_numbers(axes)
    axes.set_xlabel(_label(figure.x_label))
    axes.set_ylabel(_label(figure.y_label))


def _whole_numbers(axes: "Axes") -> None:
    """Ticks along the horizontal axis at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def colours(count: int) -> NDArray[np.float64]:
    """One colour (count, 4) for each group, neighbours far apart."""
    import matplotlib

    if count <= 10:
        return np.asarray(matplotlib.colormaps["tab10"](np.arange(max(count, 1))))
    # steps of the golden section go round a circle without meeting
    return np.asarray(matplotlib.colormaps["turbo"]((np.arange(count) * 0.618034) % 1 * 0.9 + 0.05))


def _scatter(axes: "Axes", figure: Scatter) -> None:
    groups = np.asarray(figure.groups, dtype=np.int64)
    palette = colours(int(max(groups.max(initial=-1) + 1, len(figure.marks))))
    painted = np.where((groups >= 0)[:, None], palette[groups.clip(0)], _rgba(NONE))
    many = len(figure.points) > MANY
    axes.scatter(figure.points[:, 0], figure.points[:, 1], s=9, c=painted, alpha=0.75, linewidths=0, rasterized=many)
    numbered = len(figure.marks) <= MOST_NUMBERED
    if len(figure.marks):
        size, fill = (170, "white") if numbered else (5, INK)
        axes.scatter(figure.marks[:, 0], figure.marks[:, 1], s=size, c=fill, edgecolors=INK, linewidths=1)
    if numbered:
        for number, (x, y) in enumerate(figure.marks):
            axes.text(x, y, str(number), ha="center", va="center_baseline", fontsize=8, fontweight="bold")
    axes.margins(MARGIN)
    axes.set_xlabel(_label(figure.x_label))
    axes.set_ylabel(_label(figure.y_label))


def _images(axes: "Axes", figure: Images) -> None:
    count, height, width = figure.images.shape[:3]
    across = max(1, min(count, round(float(np.sqrt(count * SIZE[0] * height / (SIZE[1] * width))))))
    down = -(-count // across)
    low, high = float(np.nanmin(figure.images)), float(np.nanmax(figure.images))
    shown = (np.asarray(figure.images, dtype=float) - low) / ((high - low) or 1.0)
    small = across > 8
    pitch = (1.42 if small else 1.22) * height / width
    for number, (image, name) in enumerate(zip(shown, figure.names, strict=True)):
        x, y = number % across * 1.1, number // across * pitch
        extent = (x, x + 1, y + height / width, y)
        axes.imshow(image, cmap="gray", vmin=0, vmax=1, extent=extent, interpolation="nearest")
        axes.text(x + 0.5, y - 0.02, _label(name), ha="center", va="bottom", fontsize=5.5 if small else 8)
    axes.set_xlim(-0.05, across * 1.1 - 0.05)
    axes.set_ylim(down * pitch, height / width - pitch)
    axes.set_aspect("equal")
    axes.set_axis_off()


def _rgba(colour: str) -> Any:
    from matplotlib.colors import to_rgba

    return to_rgba(colour)
