"""The figure of kind ``lines``: a panel a KPI, a line a setting, after the test's entry in the catalogue.

Where the entry names a parameter for panels, the KPIs are rows of small panels and the parameter's values the columns.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from aibench_lib.catalogue import Benchmark, Scalar
from aibench_lib.catalogue import Figure as Wanted
from aibench_lib.kpi.names import bare
from aibench_lib.model import Value
from aibench_lib.procedures.point_to_point import LINE_RATE
from aibench_lib.report.figures.style import (
    Figure,
    drawing,
    legend,
    mark_level,
    name_unit,
    series,
    thousands,
    ticks,
    undefined,
)
from aibench_lib.report.numbers import label, level, size, words
from aibench_lib.report.results import Results
from aibench_lib.units import BITS_PER_BYTE, GB, KB

_LINE_RATE = "line rate of the NIC"
"""The catalogue's word for it among the marks of a figure."""
_WIDE = 10_000
"""Sizes that span a factor of this are written as 64 KB to 1 GB, not all in KB."""
_DECADES_APART = 100
"""Small panels whose values differ by more than this factor get a logarithmic axis, so that every line is seen."""


@dataclass(frozen=True, kw_only=True)
class _Levels:
    """The values that the run has of each parameter of the figure."""

    x: list[float]
    lines: tuple[Scalar, ...]
    panels: tuple[Scalar, ...]
    """Empty where a panel is a KPI."""


def lines(results: Results, benchmark: Benchmark) -> Figure | None:
    """Return the KPIs ``figure.y`` against the parameter ``figure.x``, or None if the run has no such values."""
    figure = benchmark.figure
    values = [value for value in results.of(benchmark.id) if _is_drawable(value, figure)]
    if not values:
        return None
    levels = _Levels(
        x=sorted({_x(value, figure.x) for value in values}),
        lines=_levels(values, figure.lines),
        panels=_levels(values, figure.panels) if figure.panels else (),
    )
    name = f"test-{benchmark.id}-lines"
    height = 1.4 + 2.4 * len(figure.y) if levels.panels else 4.2
    with drawing(name, results.lab, 10, height) as drawn:
        shape = (len(figure.y), len(levels.panels)) if levels.panels else (1, len(figure.y))
        sharing: dict[str, Any] = {"sharex": "col", "sharey": "row"} if levels.panels else {}
        grid = drawn.canvas.subplots(*shape, squeeze=False, **sharing)
        bounds: dict[str, str] = {}
        for number, kpi in enumerate(figure.y):
            own = [value for value in values if bare(value.kpi) == kpi]
            row = grid[number] if levels.panels else [grid[0][number]]
            scale = _kpi(row, own, figure, levels, name_unit(own[0].kpi if own else kpi, own[0].unit if own else ""))
            linear_below = _linear_below(own) if levels.panels else None
            if linear_below is not None:
                row[0].set_yscale("symlog", linthresh=linear_below, linscale=0.5)
                row[0].set_ylim(0, 2 * max(value.value or 0 for value in own))
                row[0].minorticks_off()
                thousands(row[0].yaxis)
                bounds[kpi] = f"{linear_below:,g}"
        reference = _line_rate(results, benchmark)
        if reference:
            for axes in grid[0]:
                mark_level(axes, reference, f"{_LINE_RATE}: {reference:g} GB/s")
                axes.set_ylim(0, 1.12 * max(axes.get_ylim()[1], reference))
        for axes in grid[-1]:
            axes.set_xlabel(name_unit(label(figure.x), "" if _is_wide(figure.x, levels.x) else _unit(figure.x)))
        legend(drawn.canvas, grid[0][0], label(figure.lines))
    return Figure(
        name=name,
        title=f"{' and '.join(figure.y)} against {words(figure.x)}",
        svg=drawn.svg,
        alt=_description(figure, levels),
        caption=f"Means over trials; bands are 95 % confidence intervals. The x axis is {scale}."
        + (" The panels of a row share their y axis." if levels.panels else "")
        + (f" The dashed line is the {_LINE_RATE}, all bits of the wire." if reference else "")
        + "".join(f" That of {kpi} is linear below {bound} and logarithmic above." for kpi, bound in bounds.items()),
    )


def _linear_below(values: Sequence[Value]) -> float | None:
    """Return the power of ten below which a y axis is to be linear, or None where all of it is better so."""
    positive = [value.value for value in values if value.value is not None and value.value > 0]
    if not positive or max(positive) < _DECADES_APART * min(positive):
        return None
    return float(10 ** math.floor(math.log10(min(positive))))


def _kpi(row: Sequence[Axes], values: Sequence[Value], figure: Wanted, levels: _Levels, title: str) -> str:
    """Draw one KPI in one panel, or in a row of them; return the x axis' scale in words."""
    for axes, panel in zip(row, levels.panels or (None,), strict=True):
        own = [value for value in values if panel is None or _parameters(value)[figure.panels] == panel]
        for number, of_line in enumerate(levels.lines):
            on_line = [value for value in own if _parameters(value)[figure.lines] == of_line]
            _line(axes, on_line, figure.x, number, level(figure.lines, of_line))
        if all(value.value is None for value in own):
            undefined(axes)
        if panel is None:
            axes.set_title(title)
        elif axes.get_subplotspec().is_first_row():  # type: ignore[union-attr] # made by subplots, so it has one
            axes.set_title(f"{label(figure.panels)} {level(figure.panels, panel)}")
        axes.set_ylim(0, None)
        thousands(axes.yaxis)
        names = [size(round(x)) for x in levels.x] if _is_wide(figure.x, levels.x) else ()
        scale = ticks(axes, levels.x, figure.x_scale, KB if _unit(figure.x) else 1, names)
    if levels.panels:
        row[0].set_ylabel(title)
    return scale


def _description(figure: Wanted, levels: _Levels) -> str:
    names, x_names = " and ".join(figure.y), ", ".join(level(figure.x, x) for x in levels.x)
    line_names = ", ".join(level(figure.lines, line) for line in levels.lines)
    panel_names = ", ".join(level(figure.panels, panel) for panel in levels.panels)
    panels = f"one panel for each {words(figure.panels)} ({panel_names}), " if levels.panels else ""
    return (
        f"Line charts of {names} against {words(figure.x)} ({x_names}), {panels}one line for each "
        f"{words(figure.lines)} ({line_names}). The KPI summary of this test holds the same values."
    )


def _line_rate(results: Results, benchmark: Benchmark) -> float:
    """Return the line rate of the NICs of a test, where its figure is to show it and its trials say it [GB/s]; or 0."""
    rates = [float(trial[LINE_RATE]) for trial in results.remarks(benchmark.id) if LINE_RATE in trial]
    return min(rates, default=0.0) / (BITS_PER_BYTE * GB) if _LINE_RATE in benchmark.figure.marks else 0.0


def _is_wide(x_name: str, x: Sequence[float]) -> bool:
    """Return whether sizes span so much that each is written with its own unit."""
    return bool(_unit(x_name)) and x[-1] >= _WIDE * x[0]


def _unit(x_name: str) -> str:
    return "KB" if x_name.endswith("_bytes") else ""


def _levels(values: Sequence[Value], name: str) -> tuple[Scalar, ...]:
    return tuple(dict.fromkeys(_parameters(value)[name] for value in values))


def _is_drawable(value: Value, figure: Wanted) -> bool:
    parameters = _parameters(value)
    is_asked = bare(value.kpi) in figure.y and value.statistic == "mean"
    has_levels = figure.lines in parameters and (not figure.panels or figure.panels in parameters)
    return is_asked and has_levels and isinstance(parameters.get(figure.x), int | float)


def _parameters(value: Value) -> Mapping[str, int | float | str]:
    return {**value.setting, **value.point}


def _x(value: Value, name: str) -> float:
    x = _parameters(value)[name]
    return x if isinstance(x, int) else float(x)


def _line(axes: Axes, values: Sequence[Value], x_name: str, number: int, name: str) -> None:
    ordered = sorted(values, key=lambda value: _x(value, x_name))
    x = [_x(value, x_name) for value in ordered]
    axes.plot(x, [_gap(value.value) for value in ordered], label=name, **series(number))
    low, high = [_gap(value.ci_low) for value in ordered], [_gap(value.ci_high) for value in ordered]
    axes.fill_between(x, low, high, color=series(number)["color"], alpha=0.18, linewidth=0)


def _gap(value: float | None) -> float:
    return math.nan if value is None else value
