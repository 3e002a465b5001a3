"""The table of Test 5.2, latency by message size and background load, and the distributions that go with it."""

from collections import Counter

from aibench_lib.kpi.names import bare
from aibench_lib.model import Value
from aibench_lib.procedures.signal_stamps import KEY
from aibench_lib.report.figures.distribution import distribution
from aibench_lib.report.figures.style import Figure, drawing, legend, undefined
from aibench_lib.report.numbers import UNDEFINED, decimals, interval, number, size
from aibench_lib.report.results import Results, lab_sentence
from aibench_lib.report.tables import Table
from aibench_lib.report.trials import completion_times_us, of, read_trials

_TEST = "5.2"
_KPI, _SPREAD = "KV_xfer_latency", "tail_latency_spread"
_SIZE, _LOAD = "message_bytes", "background_load"
_PERCENTILES = ("p50", "p95", "p99", "p99.9")
_LEAST_SAMPLES = 2
"""Of fewer there is no distribution to draw."""


def latency_table(results: Results) -> Figure | None:
    """Return the latencies: a row a message size and background load, a column a percentile.

    Draft: Section 5.2, Reporting Format.
    """
    own = [value for value in results.of(_TEST) if bare(value.kpi) in (_KPI, _SPREAD)]
    latencies = [value for value in own if bare(value.kpi) == _KPI]
    if not latencies:
        return None
    points = list(dict.fromkeys((value.point[_SIZE], value.point[_LOAD]) for value in latencies))
    rows = []
    for message_bytes, load in points:
        here = {v.statistic: v for v in own if (v.point[_SIZE], v.point[_LOAD]) == (message_bytes, load)}
        places = decimals(v.value for v in here.values() if v.statistic in _PERCENTILES)
        rows.append(
            (
                size(int(message_bytes)),
                f"{float(load):.0%}",
                *(_cell(here.get(statistic), places) for statistic in _PERCENTILES),
                _cell(here.get("p99-p50"), places),
                f"{here['p50'].n:,}" if "p50" in here else UNDEFINED,
                _stamp(results, message_bytes, load),
            )
        )
    name = f"{latencies[0].kpi} [us]"
    heads = ("Message", "Background", *(p.upper() for p in _PERCENTILES), "P99 - P50", "Samples", "From posting to")
    return Figure(
        name="latency-table",
        title=f"{name} by message size and background load",
        caption="Percentiles over the transfers of all trials with 95 % confidence intervals; one transfer outstanding "
        "at a time. The background is offered in percent of the capacity of the narrowest step between the two leaves; "
        "what of it was delivered is in the KPI summary.",
        table=Table(
            caption=f"{name} ({lab_sentence(results.lab)})",
            columns=heads,
            rows=tuple(rows),
            numeric=tuple(range(1, len(heads) - 1)),
        ),
    )


def latency_distributions(results: Results) -> tuple[Figure, ...]:
    """Return the distribution of the latencies, a panel a message size and a line a background load.

    Draft: Section 5.2, "a complementary CDF plot".
    """
    trials = read_trials(results.path, _TEST)
    sizes = sorted({int(trial.point[_SIZE]) for trial in trials})
    loads = sorted({float(trial.point[_LOAD]) for trial in trials})
    if not trials:
        return ()
    names = {value.kpi for value in results.of(_TEST) if bare(value.kpi) == _KPI}
    name = min(names, default=_KPI)
    with drawing("latency-cdf", results.lab, 10, 6.4 if len(sizes) > 2 else 3.8) as figure:
        rows = 2 if len(sizes) > 2 else 1
        grid = figure.canvas.subplots(rows, -(-len(sizes) // rows), sharey=True, squeeze=False)
        for axes, message_bytes in zip(grid.flat, sizes, strict=False):
            for line, load in enumerate(loads):
                own = of(trials, **{_SIZE: message_bytes, _LOAD: load})
                times = completion_times_us(_TEST, own, _KPI)
                if len(times) >= _LEAST_SAMPLES:
                    distribution(axes, times, line, f"{load:.0%}")
            axes.set(title=size(message_bytes), ylim=(0, 1.02))
            if not axes.has_data():
                undefined(axes)
        for axes in list(grid.flat)[len(sizes) :]:
            axes.remove()
        for axes in grid[-1]:
            axes.set_xlabel(f"{name} [us]")
        for axes in grid[:, 0]:
            axes.set_ylabel("fraction of transfers")
        legend(figure.canvas, grid[0, 0], "Background load")
    shown, lines = ", ".join(map(size, sizes)), ", ".join(f"{load:.0%}" for load in loads)
    return (
        Figure(
            name="latency-cdf",
            title=f"Distribution of {name}",
            svg=figure.svg,
            alt="Cumulative distributions of the latency of KV cache transfers, a panel for each message size "
            f"({shown}), a line for each background load ({lines}). The table before holds the percentiles.",
            caption="All completed transfers of all trials. Endpoint software. Each panel has its own x axis. Of fewer "
            f"than {_LEAST_SAMPLES} transfers no line is drawn.",
        ),
    )


def _cell(value: Value | None, places: int) -> str:
    if value is None or value.value is None:
        return UNDEFINED
    return f"{number(value.value, places)} {interval(value.ci_low, value.ci_high, places)}".rstrip()


def _stamp(results: Results, message_bytes: object, load: object) -> str:
    """Return what the latencies of a point end with; where trials differ, with their numbers."""
    here = [trial for trial in results.remarks(_TEST) if (trial[_SIZE], trial[_LOAD]) == (message_bytes, load)]
    counts = Counter(trial[KEY] for trial in here if KEY in trial)
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{stamp} ({count} trials)" for stamp, count in counts.items()) or "not recorded"
