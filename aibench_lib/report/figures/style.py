"""One look for every figure: SVG text that follows the page's font and colours, and a colour-blind safe palette."""

import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure as Canvas
from matplotlib.layout_engine import ConstrainedLayoutEngine

from aibench_lib.model import LabKind
from aibench_lib.report.numbers import UNDEFINED
from aibench_lib.report.results import lab_sentence
from aibench_lib.report.tables import Table

SERIES = ("#0072b2", "#d55e00", "#009e73", "#aa4499", "#56b4e9", "#997700", "#7a7a7a")
"""Line colours, distinct also without red-green vision; in the page each becomes ``var(--series-1)`` and so on."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""One for each colour, so that a line is known without its colour."""

_INK = "#1a1c20"
_MUTED = "#5b6470"
_GRID = "#d9dee4"
_PAGE_COLOURS = {
    **{colour: f"var(--series-{number}, {colour})" for number, colour in enumerate(SERIES, start=1)},
    _INK: f"var(--ink, {_INK})",
    _MUTED: f"var(--muted, {_MUTED})",
    _GRID: f"var(--grid, {_GRID})",
}
_LOOK: Any = {  # Any: matplotlib types the keys as a Literal of 300 names
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same text widths everywhere
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.edgecolor": _MUTED,
    "axes.labelcolor": _INK,
    "axes.titlecolor": _INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": _GRID,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.labelcolor": _INK,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "text.color": _INK,
    "xtick.color": _MUTED,
    "xtick.labelcolor": _INK,
    "ytick.color": _MUTED,
    "ytick.labelcolor": _INK,
    "svg.fonttype": "none",  # text stays text: selectable, searchable, in the page's own font
}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure of a report, ready to print."""

    name: str
    """Unique in the report; the anchor of the figure."""
    title: str
    svg: str = ""
    """Empty where the table is the figure."""
    alt: str = ""
    """What the drawing shows, for a reader who cannot see it."""
    caption: str
    table: Table | None = None
    """What stands beside the figure, where the KPI table does not hold it already."""


class Drawing:
    """A canvas while it is drawn on; ``svg`` holds the result afterwards."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        self.svg = ""


@contextmanager
def drawing(name: str, lab: LabKind, width: float, height: float) -> Iterator[Drawing]:
    """Give a canvas of ``width`` x ``height`` [inches] in the report's look; the lab's label is written on it.

    The same data gives the same bytes: element names are hashed with ``name``, and no date is written.
    """
    with mpl.rc_context(_LOOK | {"svg.hashsalt": name}):
        canvas = Canvas(figsize=(width, height), layout=ConstrainedLayoutEngine(wspace=0.06, hspace=0.06))
        result = Drawing(canvas)
        yield result
        canvas.supxlabel(lab_sentence(lab), x=0.995, ha="right", fontsize=7.5, color=_MUTED)
        out = io.StringIO()
        canvas.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        result.svg = _for_page(out.getvalue(), name)


def series(number: int) -> dict[str, Any]:
    """Return colour and marker of the line ``number``, from 0 on."""
    return {"color": SERIES[number % len(SERIES)], "marker": MARKERS[number % len(MARKERS)]}


def legend(canvas: Canvas, axes: Axes, title: str) -> None:
    """Put one legend for all axes above the canvas."""
    handles, labels = axes.get_legend_handles_labels()
    canvas.legend(handles, labels, title=title, loc="outside upper left", ncols=len(labels), alignment="left")


def thousands(axis: Axis) -> None:
    """Separate the thousands on an axis."""
    axis.set_major_formatter("{x:,.10g}")


def name_unit(name: str, unit: str) -> str:
    """Return an axis' label: ``pause_duration [us]``, or the name alone where there is no unit."""
    return f"{name} [{unit}]" if unit not in ("", "1") else name


def undefined(axes: Axes) -> None:
    """Say on axes that have nothing to show that the data do not define it."""
    axes.text(0.5, 0.5, UNDEFINED, transform=axes.transAxes, ha="center", va="center", color=_MUTED)


def mark_time(axes: Axes, time: float, text: str, height: float) -> None:
    """Mark a moment on the x axis by a dashed line that ends at ``height`` (a fraction of the axes') with ``text``.

    The line goes no higher, so that it cannot cross the text of another moment.
    """
    axes.axvline(time, ymax=height, color=_INK, linestyle=(0, (5, 3)), linewidth=1)
    note = axes.annotate(
        text, (time, height), xycoords=("data", "axes fraction"), xytext=(4, 0), textcoords="offset points"
    )
    note.set(fontsize=8, va="top", color=_INK)


def mark_level(axes: Axes, value: float, text: str) -> None:
    """Mark a value on the y axis by a dashed line with ``text`` below its left end."""
    axes.axhline(value, color=_INK, linestyle=(0, (5, 3)), linewidth=1)
    note = axes.annotate(
        text, (0, value), xycoords=("axes fraction", "data"), xytext=(4, 3), textcoords="offset points"
    )
    note.set(fontsize=8, va="bottom", color=_INK)


def remark(axes: Axes, text: str, height: float) -> None:
    """Say something of all of ``axes`` at its right end, at ``height`` (a fraction of the axes')."""
    axes.text(0.995, height, text, transform=axes.transAxes, ha="right", va="top", fontsize=8, color=_INK)


def ticks(axes: Axes, values: list[float], scale: str, divisor: float = 1, texts: Sequence[str] = ()) -> str:
    """Give the x axis exactly ``values`` as ticks, even where all are powers of two; return its scale in words.

    Args:
        axes: What to change.
        values: All x values, ascending.
        scale: ``linear`` or ``log``, for values that are not powers of two.
        divisor: What the ticks' texts count, in the unit of ``values``.
        texts: What stands at the ticks instead of numbers.
    """
    doubling = all(value > 0 and math.log2(value).is_integer() for value in values)
    if doubling:
        axes.set_xscale("log", base=2)
    elif scale == "log":
        axes.set_xscale("log")
    axes.set_xticks(values, texts or [f"{value / divisor:,g}" for value in values])
    axes.minorticks_off()
    axes.grid(visible=False, axis="x")
    return "logarithmic to base 2" if doubling else "logarithmic" if scale == "log" else "linear"


def _for_page(svg: str, name: str) -> str:
    """Return the ``<svg>`` element alone, with the page's colours and without ids that could be another figure's."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for colour, variable in _PAGE_COLOURS.items():
        svg = re.sub(rf"(?<=: ){colour}\b", variable, svg)
    used = set(re.findall(r"(?:url\(|href=\")#([^)\"]+)", svg))
    svg = re.sub(r' id="([^"]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", svg)
    svg = re.sub(r"(url\(|href=\")#", rf"\1#{name}-", svg)
    attributes, body = svg.split(">", 1)
    return re.sub(r' (width|height)="[^"]*"', "", attributes) + ">" + body
