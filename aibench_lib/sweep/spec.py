"""Read a sweep's file: one simulation, the values to vary, the seeds; strict, so that no point fails after hours."""

import copy
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from aibench_lib.errors import SpecError
from aibench_lib.model import Topology
from aibench_lib.simulator import Ecn, LoadBalancing, Parameters, Pfc
from aibench_lib.spec import build, load_yaml
from aibench_lib.sweep.patterns import Flow, Pattern, flows, parse_pattern
from aibench_lib.topology import parse_topology

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class _SweepFile:
    topology: object
    """As in the inventory: ``link_bps``, and ``fabric`` or ``switches``, ``hosts`` and ``links``."""
    pattern: object
    """See :mod:`aibench_lib.sweep.patterns`."""
    simulation: Mapping[str, object] = field(default_factory=dict)
    """The simulator's parameters that differ from their defaults."""
    ecn: Mapping[str, object] | None = None
    """Marking of all switch ports in the pattern's priority: ``kmin_bytes``, ``kmax_bytes``, ``pmax``."""
    pfc: Mapping[str, object] | None = None
    """PFC of all switch ports for the pattern's priority: ``xoff_bytes`` or ``alpha``, and more of :class:`Pfc`."""
    load_balancing: Mapping[str, object] | None = None
    """Of all switches: ``mode``, ``flowlet_gap_ns``."""
    skip_ahead: bool = False
    """Whether time in which a simulation only repeats itself is skipped."""
    limit_ms: int = 1000
    """A point ends after this simulated time, whatever is unfinished then [ms]."""
    vary: Mapping[str, Sequence[object]] = field(default_factory=dict)
    """Path of a key above, such as ``pattern.senders`` -> its values; every combination is a point."""
    seeds: Sequence[int] = (1,)
    """Every combination is run with each."""


@dataclass(frozen=True)
class Point:
    """One simulation of a sweep, as it is handed to a worker."""

    where: str
    """Opens every message."""
    values: Mapping[str, Any]
    """The file's keys, but ``vary`` and ``seeds``."""
    varied: Mapping[str, object]
    """What is particular to this point."""
    seed: int

    @property
    def name(self) -> str:
        """What tells the point from others, for messages."""
        return ", ".join(f"{key} {label(value)}" for key, value in {**self.varied, "seed": self.seed}.items())


@dataclass(frozen=True)
class Case:
    """A point in the simulator's terms."""

    topology: Topology
    parameters: Parameters
    pattern: Pattern
    flows: Sequence[Flow]
    ecn: Ecn | None
    pfc: Pfc | None
    load_balancing: LoadBalancing | None
    skip_ahead: bool
    limit_ms: int


def load_sweep(path: Path) -> list[Point]:
    """Return the points of a sweep's file: all combinations in the order of the file, the seeds innermost.

    Raises:
        SpecError: A key is unknown or missing, or a point cannot be simulated.
    """
    content = load_yaml(path)
    if not isinstance(content, dict) or "sweep" not in content:
        raise SpecError(f"{path}: sweep: missing; this key is required")
    where = f"{path}: sweep"
    spec = build(_SweepFile, content["sweep"], where)
    values = {key: value for key, value in content["sweep"].items() if key not in ("vary", "seeds")}
    seeds = _choices(spec.seeds, f"{where}.seeds")
    for seed in seeds:
        if type(seed) is not int or seed < 0:
            raise SpecError(f"{where}.seeds: {seed!r} is not a whole number of at least 0")
    points = [
        Point(where, changed, varied, seed) for varied, changed in _combinations(spec, values, where) for seed in seeds
    ]
    for point in points:
        case(point)
    return points


def case(point: Point) -> Case:
    """Return a point in the simulator's terms.

    Raises:
        SpecError: It cannot be simulated; the message says which point and why.
    """
    values, where = point.values, point.where
    spec = build(_SweepFile, values, where)
    topology = parse_topology(spec.topology, f"{where}.topology")
    pattern = parse_pattern(spec.pattern, f"{where}.pattern")
    if type(spec.limit_ms) is not int or spec.limit_ms < 1:
        raise SpecError(f"{where}.limit_ms: {spec.limit_ms!r} is not a whole number of at least 1")
    if not isinstance(spec.skip_ahead, bool):
        raise SpecError(f"{where}.skip_ahead: {spec.skip_ahead!r} is neither true nor false")
    try:
        messages = flows(pattern, topology, point.seed)
    except ValueError as error:
        raise SpecError(f"{where}.pattern: {error}") from error
    return Case(
        topology,
        build(Parameters, spec.simulation, f"{where}.simulation"),
        pattern,
        messages,
        _optional(Ecn, spec.ecn, f"{where}.ecn"),
        _optional(Pfc, spec.pfc, f"{where}.pfc"),
        _optional(LoadBalancing, spec.load_balancing, f"{where}.load_balancing"),
        spec.skip_ahead,
        spec.limit_ms,
    )


def _optional(kind: type[T], values: object, where: str) -> T | None:
    return None if values is None else build(kind, values, where)


def label(value: object) -> int | float | str:
    """Return a varied value as it stands in the table: what is not a number or a text as JSON."""
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        return value
    return json.dumps(value, sort_keys=True)


def _combinations(
    spec: _SweepFile, values: Mapping[str, Any], where: str
) -> Iterator[tuple[dict[str, object], dict[str, Any]]]:
    """Yield what is varied, and the file's values with it put in."""
    if not isinstance(spec.vary, Mapping):
        raise SpecError(f"{where}.vary: expected keys and lists of values, found {type(spec.vary).__name__}")
    lists = [_choices(choices, f"{where}.vary.{path}") for path, choices in spec.vary.items()]
    for choice in itertools.product(*lists):
        varied = dict(zip(map(str, spec.vary), choice, strict=True))
        changed = copy.deepcopy(dict(values))
        for path, value in varied.items():
            _put(changed, path, value, f"{where}.vary.{path}")
        yield varied, changed


def _choices(values: object, where: str) -> list[Any]:
    if not isinstance(values, list | tuple) or not values:
        raise SpecError(f"{where}: expected a list of values, found {values!r}")
    labels = [label(value) for value in values]
    if len(set(labels)) < len(labels):
        raise SpecError(f"{where}: a value stands there twice")
    return list(values)


def _put(values: dict[str, Any], path: str, value: object, where: str) -> None:
    first, *rest = path.split(".")
    if first in ("vary", "seeds") or first not in _SweepFile.__dataclass_fields__:
        raise SpecError(f"{where}: {first!r} is not a key of the sweep that can be varied")
    here: Any = values
    for key in (first, *rest)[:-1]:
        here = here.setdefault(key, {})
        if not isinstance(here, dict):
            raise SpecError(f"{where}: {key!r} has no keys below it")
    here[(first, *rest)[-1]] = value
