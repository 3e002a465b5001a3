"""The figure of kind ``dual_axis``: a mean on the left axis and a percentile on the right one, by one parameter."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from aibench_lib.catalogue import Benchmark
from aibench_lib.kpi.names import bare
from aibench_lib.model import Value
from aibench_lib.report.figures.style import Figure, drawing, name_unit, series, thousands, ticks
from aibench_lib.report.numbers import UNDEFINED, label, words
from aibench_lib.report.results import Results

_RIGHT = "p99"
"""The statistic of the right axis."""


def dual_axis(results: Results, benchmark: Benchmark) -> Figure | None:
    """Return ``figure.y`` on the left and P99 of ``figure.y_right`` on the right axis, ``figure.marks`` written beside.

    None if the run has no such values.
    """
    figure = benchmark.figure
    own = results.of(benchmark.id)
    left = _by_x(own, figure.y[0], "mean", figure.x)
    right = _by_x(own, figure.y_right[0], _RIGHT, figure.x)
    if not left:
        return None
    marks = {name: _by_x(own, name, "mean", figure.x) for name in figure.marks}
    name = f"test-{benchmark.id}-axes"
    with drawing(name, results.lab, 10, 4.6) as drawn:
        axes = drawn.canvas.subplots()
        beside = axes.twinx()
        _line(axes, left, 0, "mean")
        _line(beside, right, 1, "P99")
        for row, (mark, values) in enumerate(marks.items()):
            _write(axes, mark, values, 0.99 - 0.05 * row)
        scale = ticks(axes, sorted(left), figure.x_scale)
        axes.set_xlabel(label(figure.x))
        beside.spines["right"].set_visible(True)
        beside.grid(visible=False)
        _legend(axes, beside)
    first, second = _name(left, figure.y[0]), _name(right, figure.y_right[0])
    written = f" {' and '.join(marks)} is written above each point." if marks else ""
    return Figure(
        name=name,
        title=f"{first} and {second} against {words(figure.x)}",
        svg=drawn.svg,
        alt=f"Line chart with two y axes over {words(figure.x)} ({', '.join(f'{x:g}' for x in sorted(left))}): {first} "
        f"on the left, {_RIGHT.upper()} of {second} on the right.{written} The KPI summary of this test holds the same "
        "values.",
        caption=f"Left axis: mean over trials of {first}, all pairs together. Right axis: {_RIGHT.upper()} of {second} "
        "over the transfers of all pairs and trials. Bars are 95 % confidence intervals."
        f"{written} The x axis is {scale}.",
    )


def _by_x(values: Sequence[Value], kpi: str, statistic: str, x: str) -> dict[float, Value]:
    """Return the value of a KPI by the figure's parameter."""
    return {float(value.point[x]): value for value in values if bare(value.kpi) == kpi and value.statistic == statistic}


def _name(values: Mapping[float, Value], kpi: str) -> str:
    return next((value.kpi for value in values.values()), kpi)


def _line(axes: Axes, values: Mapping[float, Value], number: int, statistic: str) -> None:
    defined = {x: value for x, value in sorted(values.items()) if value.value is not None}
    one = next(iter(values.values()), None)
    name = f"{one.kpi}, {statistic}" if one else ""
    heights = [value.value or 0.0 for value in defined.values()]
    axes.errorbar(list(defined), heights, yerr=_errors(defined), label=name, elinewidth=1, **series(number))
    axes.set_ylabel(name_unit(name, one.unit if one else ""))
    axes.yaxis.label.set_color(series(number)["color"])
    tops = [value.ci_high or value.value or 0.0 for value in defined.values()]
    axes.set_ylim(0, 1.12 * max([*tops, 1e-9]))  # above the highest there is room for what is written there
    thousands(axes.yaxis)


def _errors(values: Mapping[float, Value]) -> list[list[float]]:
    below = [_distance(value.value, value.ci_low) for value in values.values()]
    above = [_distance(value.ci_high, value.value) for value in values.values()]
    return [below, above]


def _distance(high: float | None, low: float | None) -> float:
    return math.nan if high is None or low is None else high - low


def _write(axes: Axes, name: str, values: Mapping[float, Value], height: float) -> None:
    """Write the values of a KPI above its points, at ``height`` (a fraction of the axes')."""
    for x, value in values.items():
        text = f"{name} {UNDEFINED if value.value is None else f'{value.value:.3f}'}"
        axes.annotate(text, (x, height), xycoords=("data", "axes fraction"), ha="center", va="top").set(fontsize=8)


def _legend(left: Axes, right: Axes) -> None:
    found = [axes.get_legend_handles_labels() for axes in (left, right)]
    handles = [handle for handles, _ in found for handle in handles]
    names = [name for _, names in found for name in names]
    left.figure.legend(handles, names, loc="outside upper left", ncols=len(names), alignment="left")
