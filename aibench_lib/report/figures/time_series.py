"""The figure of kind ``lines`` over time: the rate of each traffic class in one trial a panel."""

import math
from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from aibench_lib.catalogue import Benchmark
from aibench_lib.report.figures.style import Figure, drawing, legend, mark_time, remark, series, thousands
from aibench_lib.report.numbers import UNDEFINED, duration, label, level, words
from aibench_lib.report.results import Results, lab_sentence
from aibench_lib.report.series import RateSeries, read_series
from aibench_lib.report.tables import Table

_POINTS = 600
"""As many as a panel has pixels; a longer series is drawn as means with the span of what each stands for."""
_US_PER_MS = 1000


def rates_over_time(results: Results, benchmark: Benchmark) -> Figure | None:
    """Return the rates over time in the first trial of each value of ``figure.panels``, or None without series.

    Draft: Section 8.3.
    """
    panels = benchmark.figure.panels
    first: dict[object, RateSeries] = {}
    for one in read_series(results.path, benchmark.id):
        first.setdefault({**one.setting, **one.point}.get(panels), one)
    if not first:
        return None
    order = benchmark.load.get(panels, ())
    first = dict(sorted(first.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order)))
    classes = sorted({name for one in first.values() for name in one.rates}, reverse=True)
    name = f"test-{benchmark.id}-rates"
    thinned: list[int] = []
    with drawing(name, results.lab, 10, 1.4 + 2.6 * len(first)) as drawn:
        grid = drawn.canvas.subplots(len(first), 1, sharey=True, squeeze=False)[:, 0]
        for axes, (panel, one) in zip(grid, first.items(), strict=True):
            thinned += [_rate(axes, one, number, of_class) for number, of_class in enumerate(classes)]
            axes.set(title=f"{label(panels)}: {level(panels, panel)}", ylabel="rate [GB/s]")
            axes.set(xlim=(0, None), ylim=(0, None), xlabel="time after T0 [ms]")
            thousands(axes.xaxis)
            _moments(axes, one)
        legend(drawn.canvas, grid[0], "Traffic class")
    return Figure(
        name=name,
        title="Rate of each traffic class over time",
        svg=drawn.svg,
        alt=f"Charts of the rate of each traffic class ({', '.join(map(words, classes))}) over time after T0, one for "
        f"each {words(panels)} ({', '.join(level(panels, panel) for panel in first)}), with the moments of "
        "introduction and of convergence as dashed lines. The table beside holds these moments.",
        caption=_caption(panels, first.values(), max(thinned)),
        table=_table(results, first, panels),
    )


def _caption(panels: str, chosen: Iterable[RateSeries], thinned: int) -> str:
    windows = sorted({one.window_us for one in chosen if one.window_us})
    parts = [
        f"One trial of each {words(panels)}, always the first one run, so that no result chose it.",
        "Dashed: when the second class is introduced, and from when on the rates stay at their steady state.",
        f"A rate is the mean over a window of {' or '.join(duration(window / 1e6) for window in windows)}."
        if windows
        else "",
        f"A line joins means of up to {thinned} such rates; its band is their span." if thinned else "",
    ]
    return " ".join(part for part in parts if part)


def _rate(axes: Axes, one: RateSeries, number: int, name: str) -> int:
    """Draw one class; return how many samples a point stands for, 0 where it is one."""
    time_us, rate = one.rates.get(name, (np.empty(0), np.empty(0)))
    size = math.ceil(len(time_us) / _POINTS)
    look = {**series(number), "markevery": max(1, min(len(time_us), _POINTS) // 8), "label": words(name)}
    if size <= 1:
        begin_us, drawn = (time_us, rate) if one.window_us is None else _steps(time_us, rate, one.window_us)
        axes.plot(begin_us / _US_PER_MS, drawn, drawstyle="steps-post" if one.window_us else "default", **look)
        return 0
    starts = np.arange(0, len(time_us), size)
    middle_ms = _means(time_us, starts) / _US_PER_MS
    axes.plot(middle_ms, _means(rate, starts), **look)
    low, high = np.minimum.reduceat(rate, starts), np.maximum.reduceat(rate, starts)
    axes.fill_between(middle_ms, low, high, color=look["color"], alpha=0.18, linewidth=0)
    return size


def _steps(
    time_us: NDArray[np.float64], rate: NDArray[np.float64], window_us: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the series with the end of its last window, so that the last step has its width too."""
    return np.append(time_us, time_us[-1:] + window_us), np.append(rate, rate[-1:])


def _means(values: NDArray[np.float64], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    counts = np.diff(np.append(starts, len(values)))
    return np.asarray(np.add.reduceat(values, starts) / counts)


def _moments(axes: Axes, one: RateSeries) -> None:
    """Mark what happened when; the texts stand at different heights, as the moments may be close."""
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top * 1.25)  # room for the texts above the lines
    if one.introduced_us is not None:
        mark_time(axes, one.introduced_us / _US_PER_MS, "second class introduced", 0.99)
    if one.converged_us is not None:
        mark_time(axes, one.converged_us / _US_PER_MS, "converged", 0.89)
    else:
        remark(axes, "not converged when the trial ended", 0.89)


def _table(results: Results, chosen: dict[object, RateSeries], panels: str) -> Table:
    rows = []
    for panel, one in chosen.items():
        both = one.introduced_us is not None and one.converged_us is not None
        took = (one.converged_us or 0) - (one.introduced_us or 0) if both else None
        moments = (one.introduced_us, one.converged_us, took)
        rows.append((level(panels, panel), one.trial, *(_ms(moment) for moment in moments)))
    return Table(
        caption=f"Trials of the figure ({lab_sentence(results.lab)})",
        columns=(label(panels), "Trial", "Introduced [ms after T0]", "Converged [ms after T0]", "Between them [ms]"),
        rows=tuple(rows),
        numeric=(2, 3, 4),
    )


def _ms(moment_us: float | None) -> str:
    return UNDEFINED if moment_us is None else f"{moment_us / _US_PER_MS:,.3f}"
