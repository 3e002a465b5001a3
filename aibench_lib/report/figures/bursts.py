"""What goes with the first figure of Test 8.2: the distribution of Fabric_FCT for each N_burst."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from aibench_lib.report.figures.distribution import distribution
from aibench_lib.report.figures.style import Figure, drawing, legend
from aibench_lib.report.numbers import duration, size
from aibench_lib.report.results import Results
from aibench_lib.report.trials import Trial, completion_times_us, of, read_trials

_TEST = "8.2"
_THRESHOLD = "pfc_threshold_bytes"
_BURST = "concurrent_transfers"
_WINDOW = "arrival_window_seconds"


@dataclass(frozen=True, kw_only=True)
class _Plan:
    thresholds: tuple[int, ...]
    """The lowest and the highest there is, so that every effect of the threshold lies between them [bytes]."""
    bursts: tuple[int, ...]
    windows: tuple[float, ...]
    """[s]"""
    trials: tuple[Trial, ...]


def burst_fct(results: Results) -> tuple[Figure, ...]:
    """Return the distribution of Fabric_FCT, if the run has samples.

    Draft: Sections 8.2 and 14.
    """
    trials = read_trials(results.path, _TEST)
    if not trials:
        return ()
    thresholds = sorted({int(trial.setting[_THRESHOLD]) for trial in trials})
    plan = _Plan(
        thresholds=tuple(dict.fromkeys((thresholds[0], thresholds[-1]))),
        bursts=tuple(sorted({int(trial.point[_BURST]) for trial in trials})),
        windows=tuple(sorted({float(trial.point[_WINDOW]) for trial in trials})),
        trials=trials,
    )
    svg = _drawing(results, plan)
    shown = " and ".join(size(threshold) for threshold in plan.thresholds)
    bursts, windows = ", ".join(map(str, plan.bursts)), ", ".join(map(duration, plan.windows))
    return (
        Figure(
            name="burst-fct",
            title="Distribution of Fabric_FCT for each number of concurrent transfers",
            svg=svg,
            alt="Cumulative distributions of the flow completion time of KV cache transfers, one line for each number "
            f"of concurrent transfers ({bursts}), columns of panels for the arrival windows ({windows}), rows for the "
            f"PFC thresholds {shown}. The KPI summary of this test holds p50, p95, p99 and the maximum.",
            caption=f"All completed KV cache transfers of all trials at PFC threshold {shown} (the lowest and the "
            "highest of the run), from post to completion at the sender. Endpoint software. The panels of a column "
            "share their x axis.",
        ),
    )


def _drawing(results: Results, plan: _Plan) -> str:
    rows, columns = len(plan.thresholds), len(plan.windows)
    with drawing("burst-fct", results.lab, 10, 1.6 + 2.3 * rows) as figure:
        grid = figure.canvas.subplots(rows, columns, sharex="col", sharey=True, squeeze=False)
        for row, threshold in zip(grid, plan.thresholds, strict=True):
            row[0].set_ylabel(f"fraction of transfers\nPFC threshold {size(threshold)}")
            for axes, window in zip(row, plan.windows, strict=True):
                own = of(plan.trials, **{_THRESHOLD: threshold, _WINDOW: window})
                _lines(axes, plan, own)
        for axes, window in zip(grid[0], plan.windows, strict=True):
            axes.set_title(f"Arrival window {duration(window)}")
        for axes in grid[-1]:
            axes.set(xlabel="Fabric_FCT [us]", xlim=(0, None), ylim=(0, 1.02))
        legend(figure.canvas, grid[0, 0], "Concurrent transfers")
    return figure.svg


def _lines(axes: Axes, plan: _Plan, trials: Sequence[Trial]) -> None:
    for number, burst in enumerate(plan.bursts):
        times = completion_times_us(_TEST, of(trials, **{_BURST: burst}))
        distribution(axes, times, number, f"{burst}")
