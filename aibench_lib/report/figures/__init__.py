"""The figures of each test; matplotlib is imported here and nowhere else.

The first figure of a test follows its entry in the catalogue.  A test gets more by a function in ``COMPANIONS``.
"""

from collections.abc import Callable, Mapping

from aibench_lib.catalogue import Benchmark, benchmark
from aibench_lib.report.figures.balance import balance
from aibench_lib.report.figures.bursts import burst_fct
from aibench_lib.report.figures.dual_axis import dual_axis
from aibench_lib.report.figures.incast import queue_depth_and_fct
from aibench_lib.report.figures.latency import latency_distributions, latency_table
from aibench_lib.report.figures.lines import lines
from aibench_lib.report.figures.style import Figure
from aibench_lib.report.figures.table import by_level, by_trial
from aibench_lib.report.figures.time_series import rates_over_time
from aibench_lib.report.results import Results

__all__ = ["COMPANIONS", "Figure", "draw"]

COMPANIONS: Mapping[str, Callable[[Results], tuple[Figure, ...]]] = {
    "5.2": latency_distributions,
    "8.1": queue_depth_and_fct,
    "8.2": burst_fct,
    "9.3": balance,
}
"""Test -> what draws the figures that go with its first one."""


_TABLES: Mapping[str, Callable[[Results], Figure | None]] = {"5.2": latency_table}
"""Test -> what makes its table, where that is of percentiles."""


def draw(results: Results, test: str) -> tuple[Figure, ...]:
    """Return the figures of one test that the run's data allow."""
    first = _first(results, benchmark(test))
    more = COMPANIONS[test](results) if test in COMPANIONS else ()
    return (first, *more) if first else more


def _first(results: Results, entry: Benchmark) -> Figure | None:
    wanted = entry.figure
    if wanted.kind == "lines":
        return rates_over_time(results, entry) if wanted.x == "time" else lines(results, entry)
    if wanted.kind == "dual_axis":
        return dual_axis(results, entry)
    if entry.id in _TABLES:
        return _TABLES[entry.id](results)
    if wanted.kind == "table":
        return by_trial(results, entry) if wanted.rows == "trial" else by_level(results, entry)
    return None
