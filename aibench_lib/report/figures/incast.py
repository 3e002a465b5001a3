"""What goes with the first figure of Test 8.1: queue depth over time, and the distribution of Fabric_FCT."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from aibench_lib.report.figures.distribution import distribution
from aibench_lib.report.figures.style import Figure, drawing, legend, series, thousands
from aibench_lib.report.numbers import size
from aibench_lib.report.results import Results, lab_sentence
from aibench_lib.report.tables import Table
from aibench_lib.report.trials import QueueDepth, Trial, completion_times_us, deepest_queue, of, read_trials
from aibench_lib.units import KB, NS_PER_US

_THRESHOLD = "ecn_threshold_bytes"
_DEGREE = "prefill_workers"
_WHY = {1: "the largest M", 2: "the middle and the largest M"}
"""Number of degrees shown -> why these."""
_LINEAR_BELOW_BYTES = 10 * KB
"""The queue depth's axis is linear below this and logarithmic above, so that an empty queue has a place on it."""


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """The trials there are, and the levels of what they vary."""

    thresholds: tuple[int, ...]
    degrees: tuple[int, ...]
    trials: tuple[Trial, ...]


def queue_depth_and_fct(results: Results) -> tuple[Figure, ...]:
    """Return queue depth over time and the distribution of Fabric_FCT, as far as the run has their data.

    Draft: Sections 8.1 and 14.
    """
    trials = read_trials(results.path, "8.1")
    if not trials:
        return ()
    plan = _Plan(
        thresholds=tuple(sorted({int(trial.setting[_THRESHOLD]) for trial in trials})),
        degrees=tuple(sorted({int(trial.point[_DEGREE]) for trial in trials})),
        trials=trials,
    )
    figures = (_queue_depth(results, plan), _completion_times(results, plan))
    return tuple(figure for figure in figures if figure is not None)


def _queue_depth(results: Results, plan: _Plan) -> Figure | None:
    degree = plan.degrees[-1]
    chosen: list[tuple[int, Trial, QueueDepth]] = []
    for threshold in plan.thresholds:
        trial = next(iter(of(plan.trials, **{_THRESHOLD: threshold, _DEGREE: degree})), None)
        depth = deepest_queue(results.path, trial) if trial else None
        if trial and depth:
            chosen.append((threshold, trial, depth))
    if not chosen:
        return None
    with drawing("incast-queue", results.lab, 10, 5.6) as figure:
        rows = 1 if len(chosen) <= 2 else 2
        grid = figure.canvas.subplots(rows, -(-len(chosen) // rows), sharex=True, sharey=True, squeeze=False)
        for axes, (threshold, trial, depth) in zip(grid.flat, chosen, strict=False):
            _depth(axes, plan.thresholds.index(threshold), threshold, trial, depth)
        grid[0, 0].set(xlim=(0, None), ylim=(0, None))
        for axes in grid[-1]:
            axes.set_xlabel("time after T0 [us]")
        for axes in grid[:, 0]:
            axes.set_ylabel("queue depth")
        for axes in list(grid.flat)[len(chosen) :]:
            axes.remove()
    return Figure(
        name="incast-queue",
        title=f"Queue depth over time at M = {degree} prefill workers",
        svg=figure.svg,
        alt=f"Charts of queue depth over time after T0, one for each ECN threshold, at M = {degree} prefill workers, "
        "with the threshold as a dashed line. The table beside holds the deepest sample of each and its time.",
        caption=f"One trial of each threshold at the largest M, always the first one run, so that no result chose it; "
        f"the queue is the deepest of that trial. DUT counter; {results.sampling('8.1')}. A step holds the last "
        f"reported depth. The dashed line is the ECN threshold. The y axis is linear below "
        f"{size(_LINEAR_BELOW_BYTES)} and logarithmic above.",
        table=_depth_table(results, chosen),
    )


def _depth(axes: Axes, number: int, threshold: int, trial: Trial, depth: QueueDepth) -> None:
    end_us = (trial.t_end_ns - trial.t0_ns) / NS_PER_US
    time_us = np.append(depth.time_us, end_us)
    axes.step(time_us, np.append(depth.depth_bytes, depth.depth_bytes[-1]), where="post", color=series(number)["color"])
    axes.axhline(threshold, color=axes.yaxis.label.get_color(), linestyle=(0, (5, 3)), linewidth=1)
    axes.set_yscale("symlog", linthresh=_LINEAR_BELOW_BYTES, linscale=0.4)
    thousands(axes.xaxis)
    axes.set_title(f"ECN threshold {size(threshold)}")
    axes.yaxis.set_major_formatter(lambda value, _: "0" if value == 0 else size(round(value)))
    axes.minorticks_off()


def _depth_table(results: Results, chosen: Sequence[tuple[int, Trial, QueueDepth]]) -> Table:
    rows = []
    for threshold, trial, depth in chosen:
        top = int(np.argmax(depth.depth_bytes))
        peak, when = f"{depth.depth_bytes[top]:,.0f}", f"{depth.time_us[top]:,.1f}"
        rows.append((size(threshold), trial.name, str(depth), f"{len(depth.time_us):,}", peak, when))
    return Table(
        caption=f"Trials of the figure ({lab_sentence(results.lab)})",
        columns=("ECN threshold", "Trial", "Queue", "Samples", "Deepest sample [bytes]", "at [us after T0]"),
        rows=tuple(rows),
        numeric=(0, 3, 4, 5),
    )


def _completion_times(results: Results, plan: _Plan) -> Figure | None:
    chosen = sorted({plan.degrees[len(plan.degrees) // 2], plan.degrees[-1]})
    drawn = 0
    with drawing("incast-fct", results.lab, 10, 4.2) as figure:
        grid = figure.canvas.subplots(1, len(chosen), sharey=True, squeeze=False)[0]
        for axes, degree in zip(grid, chosen, strict=True):
            for number, threshold in enumerate(plan.thresholds):
                times = completion_times_us("8.1", of(plan.trials, **{_THRESHOLD: threshold, _DEGREE: degree}))
                drawn += len(times)
                distribution(axes, times, number, size(threshold))
            axes.set(title=f"M = {degree} prefill workers", xlabel="Fabric_FCT [us]", ylim=(0, 1.02))
        grid[0].set_ylabel("fraction of blocks")
        legend(figure.canvas, grid[0], "ECN threshold")
    if not drawn:
        return None
    shown = " and ".join(f"{degree}" for degree in chosen)
    return Figure(
        name="incast-fct",
        title="Distribution of Fabric_FCT",
        svg=figure.svg,
        alt=f"Cumulative distribution of the flow completion time of KV cache blocks at M = {shown}, one line for "
        "each ECN threshold. The KPI table of this test holds p50, p95, p99 and the maximum.",
        caption=f"All completed blocks of all trials at M = {shown} ({_WHY[len(chosen)]}), from post "
        "to completion at the sender. Endpoint software. Each panel has its own x axis.",
    )
