"""The draft's tests as frozen records: what each configures, offers, repeats and reports."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from aibench_lib.catalogue.files import data_file
from aibench_lib.errors import SpecError
from aibench_lib.spec import build, load_yaml

Scalar = int | float | str
"""A value of one parameter."""
Point = dict[str, Scalar]
"""One value of every parameter of a setting or of a load."""

SECTION_FILES = (
    "05_kv_transfer.yml",
    "06_disaggregation.yml",
    "07_expert_parallelism.yml",
    "08_congestion.yml",
    "09_routing.yml",
    "10_latency.yml",
    "11_throughput.yml",
    "12_scale.yml",
    "13_soak.yml",
)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """The figure or table in which a test's results are reported."""

    kind: str
    """lines, dual_axis, table, stacked_bars, panels or heatmap."""
    x: str = ""
    """Parameter on the X axis, or of the columns of a table."""
    y: tuple[str, ...] = ()
    """KPIs or derived values on the (left) Y axis, in the cells of a table, or the parts of a bar."""
    y_right: tuple[str, ...] = ()
    """KPIs or derived values on the right Y axis."""
    rows: str = ""
    """Parameter on the Y axis of a heatmap, or of the rows of a table."""
    lines: str = ""
    """Parameter or statistic with a line a value."""
    panels: str = ""
    """Parameter with a panel a value."""
    x_scale: str = "linear"
    """linear or log."""
    marks: tuple[str, ...] = ()
    """What is drawn or written besides: a reference line, an annotation, a shaded part."""
    companion: str = ""
    """A second figure or table that goes with it."""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One test of the draft; called a benchmark because classes named ``Test...`` belong to pytest."""

    id: str
    """The draft's number, which is also its section: ``8.1``."""
    title: str
    dut: tuple[str, ...]
    """Rows of Table 1: DUT-S, DUT-F, DUT-N, DUT-PD, SUT-E."""
    procedure: str
    """The function that offers the load, in the module of ``procedures`` named like the section."""
    setting: Mapping[str, tuple[Scalar, ...]] = field(default_factory=dict)
    """What is configured on the DUT or SUT: the outer loop."""
    load: Mapping[str, tuple[Scalar, ...]] = field(default_factory=dict)
    """What is offered: the inner loop."""
    cases: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    """What a parameter's values stand for: parameter -> value, as text -> facts."""
    constants: Mapping[str, Any] = field(default_factory=dict)
    """Numbers of the test that are not varied: SLOs, sampling intervals, sample counts, fractions."""
    trials: int = 20
    """Trials a point; 20 unless the test says otherwise (Section 1.3, latency tests)."""
    trial_seconds: int | None = 60
    """Shortest trial [s]; 60 unless the test says otherwise (Section 1.3); None where the load ends by itself."""
    kpis: tuple[str, ...] = ()
    """Names of Tables 2 to 5."""
    derived: tuple[str, ...] = ()
    """Values that Tables 2 to 5 do not name, see ``derived.yml``."""
    statistics: tuple[str, ...] = ()
    """Statistics the test asks for by name: p50, p95, p99, p99.9, max."""
    figure: Figure
    examples: tuple[str, ...] = ()
    """Keys whose values the draft offers as examples only."""
    chosen: tuple[str, ...] = ()
    """Keys whose values are ours because the draft gives none; ``docs/draft_notes.md`` says why."""

    @property
    def section(self) -> int:
        """The section of the draft the test stands in, 5 to 13."""
        return int(self.id.partition(".")[0])


def load_benchmarks() -> Mapping[str, Benchmark]:
    """Return all tests of the draft, by id, in the draft's order.

    Draft: Sections 5 to 13.
    """
    return _benchmarks()


def benchmark(id_: str) -> Benchmark:
    """Return one test.

    Raises:
        SpecError: The draft has no test of that number.
    """
    known = load_benchmarks()
    if id_ not in known:
        raise SpecError(f"test {id_!r}: the draft has no such test; its tests are {', '.join(known)}")
    return known[id_]


def settings(benchmark: Benchmark) -> list[Point]:
    """Return every combination of the setting's values, the last key varying fastest; ``[{}]`` if it has none."""
    return _combinations(benchmark.setting)


def points(benchmark: Benchmark) -> list[Point]:
    """Return every combination of the load's values, the last key varying fastest; ``[{}]`` if it has none."""
    return _combinations(benchmark.load)


def load_section(path: Path) -> dict[str, Benchmark]:
    """Return the tests of one section's file, by id.

    Raises:
        SpecError: An unknown or missing key, or a value of the wrong kind; the message names file and key.
    """
    content = load_yaml(path)
    if not isinstance(content, dict):
        raise SpecError(f"{path.name}: expected test ids, found {type(content).__name__}")
    return {_id(id_, path.name): _benchmark(str(id_), values, f"{path.name}: {id_}") for id_, values in content.items()}


@cache
def _benchmarks() -> Mapping[str, Benchmark]:
    found: dict[str, Benchmark] = {}
    for name in SECTION_FILES:
        with data_file(name) as path:
            found |= load_section(path)
    return MappingProxyType(found)


def _combinations(parameters: Mapping[str, tuple[Scalar, ...]]) -> list[Point]:
    return [dict(zip(parameters, values, strict=True)) for values in itertools.product(*parameters.values())]


def _id(id_: object, where: str) -> str:
    if not isinstance(id_, str):
        raise SpecError(f"{where}: {id_}: put the id in quotes, or YAML reads 8.10 and 8.1 as the same number")
    return id_


def _benchmark(id_: str, values: object, where: str) -> Benchmark:
    if not isinstance(values, dict):
        raise SpecError(f"{where}: expected keys and values, found {type(values).__name__}")
    entry = dict(values)
    for key in ("setting", "load"):
        if key in entry:
            entry[key] = _parameters(entry[key], f"{where}.{key}")
    for key in ("cases", "constants"):
        if not isinstance(entry.get(key, {}), dict):
            raise SpecError(f"{where}.{key}: expected keys and values, found {entry[key]!r}")
    for key in ("dut", "kpis", "derived", "statistics", "examples", "chosen"):
        if key in entry:
            entry[key] = _names(entry[key], f"{where}.{key}")
    if "figure" in entry:
        entry["figure"] = _figure(entry["figure"], f"{where}.figure")
    result = build(Benchmark, {**entry, "id": id_}, where)
    _check_numbers(result, where)
    return result


def _figure(values: object, where: str) -> Figure:
    if not isinstance(values, dict):
        raise SpecError(f"{where}: expected keys and values, found {type(values).__name__}")
    names = {key: _names(values[key], f"{where}.{key}") for key in ("y", "y_right", "marks") if key in values}
    return build(Figure, {**values, **names}, where)


def _parameters(values: object, where: str) -> Mapping[str, tuple[Scalar, ...]]:
    if not isinstance(values, dict):
        raise SpecError(f"{where}: expected parameters and their values, found {type(values).__name__}")
    for key, given in values.items():
        if not isinstance(given, list) or not given:
            raise SpecError(f"{where}.{key}: expected a list of values, found {given!r}")
        # PyYAML reads 1e6 as a string: a list that mixes strings and numbers is such a slip.
        kinds = {isinstance(value, str) for value in given}
        if len(kinds) > 1 or not all(isinstance(value, int | float | str) for value in given):
            raise SpecError(f"{where}.{key}: expected numbers only or names only, found {given!r}")
    return {key: tuple(given) for key, given in values.items()}


def _names(values: object, where: str) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise SpecError(f"{where}: expected a list of names, found {values!r}")
    return tuple(values)


def _check_numbers(benchmark: Benchmark, where: str) -> None:
    if not isinstance(benchmark.trials, int) or benchmark.trials < 1:
        raise SpecError(f"{where}.trials: expected a whole number above 0, found {benchmark.trials!r}")
    seconds = benchmark.trial_seconds
    if seconds is not None and (not isinstance(seconds, int) or seconds < 1):
        raise SpecError(f"{where}.trial_seconds: expected whole seconds above 0 or null, found {seconds!r}")
