"""The figure of kind ``lines``: a panel a KPI, a line a setting, after the test's entry in the catalogue."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from aibench_lib.catalogue import Benchmark
from aibench_lib.model import Value
from aibench_lib.report.figures.style import Figure, drawing, legend, series, ticks
from aibench_lib.report.numbers import label, quantity, words
from aibench_lib.report.results import Results


def lines(results: Results, benchmark: Benchmark) -> Figure | None:
    """Return the KPIs ``figure.y`` against the parameter ``figure.x``, or None if the run has no such values."""
    figure = benchmark.figure
    values = [value for value in results.values if value.test == benchmark.id and _is_drawable(value, benchmark)]
    if not values:
        return None
    xs = sorted({_x(value, figure.x) for value in values})
    levels = tuple(dict.fromkeys(_parameters(value)[figure.lines] for value in values))
    name = f"test-{benchmark.id}-lines"
    with drawing(name, results.lab, 10, 4.2) as drawn:
        panels = drawn.canvas.subplots(1, len(figure.y), squeeze=False)[0]
        for axes, kpi in zip(panels, figure.y, strict=True):
            own = [value for value in values if value.kpi == kpi]
            for number, level in enumerate(levels):
                on_line = [value for value in own if _parameters(value)[figure.lines] == level]
                _line(axes, on_line, figure.x, number, quantity(figure.lines, level))
            axes.set(title=f"{kpi} [{own[0].unit}]" if own else kpi, xlabel=label(figure.x), ylim=(0, None))
            scale = ticks(axes, xs, figure.x_scale)
        legend(drawn.canvas, panels[0], label(figure.lines))
    names, level_names = " and ".join(figure.y), ", ".join(quantity(figure.lines, level) for level in levels)
    x_names = ", ".join(quantity(figure.x, x) for x in xs)
    return Figure(
        name=name,
        title=f"{names} against {words(figure.x)}",
        svg=drawn.svg,
        alt=f"Line charts of {names} against {words(figure.x)} ({x_names}), one line for each {words(figure.lines)} "
        f"({level_names}). The KPI summary of this test holds the same values.",
        caption=f"Means over trials; bands are 95 % confidence intervals. The x axis is {scale}.",
    )


def _is_drawable(value: Value, benchmark: Benchmark) -> bool:
    figure, parameters = benchmark.figure, _parameters(value)
    is_asked = value.kpi in figure.y and value.statistic == "mean"
    return is_asked and figure.lines in parameters and isinstance(parameters.get(figure.x), int | float)


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
