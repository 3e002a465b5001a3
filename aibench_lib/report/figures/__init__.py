"""The figures of each test; matplotlib is imported here and nowhere else.

The first figure of a test follows its entry in the catalogue.  A test gets more by a function in ``COMPANIONS``.
"""

from collections.abc import Callable, Mapping

from aibench_lib.catalogue import benchmark
from aibench_lib.report.figures.incast import queue_depth_and_fct
from aibench_lib.report.figures.lines import lines
from aibench_lib.report.figures.style import Figure
from aibench_lib.report.results import Results

__all__ = ["COMPANIONS", "Figure", "draw"]

COMPANIONS: Mapping[str, Callable[[Results], tuple[Figure, ...]]] = {"8.1": queue_depth_and_fct}
"""Test -> what draws the figures that go with its first one."""


def draw(results: Results, test: str) -> tuple[Figure, ...]:
    """Return the figures of one test that the run's data allow."""
    entry = benchmark(test)
    first = lines(results, entry) if entry.figure.kind == "lines" and not entry.figure.panels else None
    more = COMPANIONS[test](results) if test in COMPANIONS else ()
    return (first, *more) if first else more
