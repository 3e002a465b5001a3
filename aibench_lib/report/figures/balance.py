"""What goes with the table of Test 9.3: the same values drawn, so that algorithms are compared at a glance."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from aibench_lib.model import Value
from aibench_lib.report.figures.style import Figure, drawing, legend, series, undefined
from aibench_lib.report.numbers import label, level
from aibench_lib.report.results import Results

_TEST = "9.3"
_ROWS = "load_balancing"
_TRAFFIC = "traffic"
_STEP = 0.22
"""Distance of two algorithms within one kind of traffic, on an axis where kinds of traffic are 1 apart."""
_HIGHEST, _LOWEST = "maximum_link_utilization", "minimum_link_utilization"


def balance(results: Results) -> tuple[Figure, ...]:
    """Return JFI, the span of link utilisations and the oversubscription ratio by traffic and algorithm.

    Draft: Section 9.3.
    """
    own = [value for value in results.of(_TEST) if value.statistic == "mean" and _ROWS in value.setting]
    own = [value for value in own if _TRAFFIC in value.point]
    algorithms = tuple(dict.fromkeys(value.setting[_ROWS] for value in own))
    kinds = tuple(dict.fromkeys(value.point[_TRAFFIC] for value in own))
    if not own:
        return ()
    with drawing("load-balancing", results.lab, 10, 3.9) as figure:
        panels = figure.canvas.subplots(1, 3)
        for number, algorithm in enumerate(algorithms):
            shift = (number - (len(algorithms) - 1) / 2) * _STEP
            for position, kind in enumerate(kinds):
                found = {v.kpi: v for v in own if (v.setting[_ROWS], v.point[_TRAFFIC]) == (algorithm, kind)}
                name = level(_ROWS, algorithm) if position == 0 else "_"
                _dot(panels[0], position + shift, found.get("JFI"), number, name)
                _span(panels[1], position + shift, (found.get(_LOWEST), found.get(_HIGHEST)), number)
                _dot(panels[2], position + shift, found.get("oversubscription_ratio"), number, name)
        titles = ("JFI", "Link utilization, lowest to highest [%]", "Oversubscription ratio")
        for axes, title in zip(panels, titles, strict=True):
            axes.set_title(title)
            axes.set_xticks(range(len(kinds)), [level(_TRAFFIC, kind) for kind in kinds])
            axes.set(xlim=(-0.5, len(kinds) - 0.5), ylim=(0, None))
            axes.grid(visible=False, axis="x")
            if not axes.has_data():
                undefined(axes)
        legend(figure.canvas, panels[0], label(_ROWS))
    kind_names, names = (", ".join(level(key, x) for x in xs) for key, xs in ((_TRAFFIC, kinds), (_ROWS, algorithms)))
    return (
        Figure(
            name="load-balancing",
            title="Load balancing algorithms compared",
            svg=figure.svg,
            alt=f"Dot charts of JFI, of the lowest and highest link utilization, and of the oversubscription ratio for "
            f"the traffic {kind_names}, one colour for each load balancing algorithm ({names}). The table of this "
            "test holds the same values.",
            caption="Means over trials. Thin bars are 95 % confidence intervals; of few trials they may reach beyond "
            "what a KPI can be, such as a JFI of 1. The thick bars of the link utilization lead from the mean of the "
            "least used to that of the most used fabric link; the table holds their intervals.",
        ),
    )


def _dot(axes: Axes, x: float, value: Value | None, number: int, name: str) -> None:
    if value is not None and value.value is not None:
        axes.errorbar(
            [x], [value.value], yerr=_error(value), label=name, linestyle="none", elinewidth=1, **series(number)
        )


def _span(axes: Axes, x: float, ends: Sequence[Value | None], number: int) -> None:
    """Draw both ends without their intervals: those of one end would lie on the other's; the table holds them."""
    heights = [end.value for end in ends if end is not None and end.value is not None]
    axes.plot([x] * len(heights), heights, linewidth=4, **series(number))


def _error(value: Value) -> list[list[float]] | None:
    if value.value is None or value.ci_low is None or value.ci_high is None:
        return None
    return [[value.value - value.ci_low], [value.ci_high - value.value]]
