"""The draft as data: its 33 tests, its KPIs, and the tables they refer to."""

from aibench_lib.catalogue.benchmarks import (
    Benchmark,
    Figure,
    Point,
    Scalar,
    benchmark,
    load_benchmarks,
    load_section,
    points,
    settings,
)

__all__ = [
    "Benchmark",
    "Figure",
    "Point",
    "Scalar",
    "benchmark",
    "load_benchmarks",
    "load_section",
    "points",
    "settings",
]
