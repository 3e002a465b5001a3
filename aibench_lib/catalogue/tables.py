"""The draft's tables as frozen records: DUTs, KPIs, models, MoE configurations, and what a report holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, TypeVar

from aibench_lib.catalogue.files import data_file
from aibench_lib.errors import SpecError
from aibench_lib.model import ObservationPoint
from aibench_lib.spec import build, load_yaml

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Dut:
    """A row of Table 1."""

    description: str
    components: str


@dataclass(frozen=True, kw_only=True)
class Kpi:
    """A KPI or indicator of Tables 2 to 5, or a value that one test alone derives."""

    name: str
    unit: str
    """As the draft writes it; empty for a ratio or a yes or no."""
    definition: str
    observation_point: ObservationPoint
    """Where the draft has it observed; a result says where it was."""
    table: int | None = None
    """2 to 5, or None for a derived value."""
    dut: tuple[str, ...] = ()
    """Rows of Table 1."""
    measured_at: str = ""
    """The measurement point of Tables 2 and 3."""
    reference: str = ""
    """The draft's non-normative target; must not be used as a criterion (Section 4)."""
    reported_as: tuple[str, ...] = ()
    """The derived values that a report names in its place."""


@dataclass(frozen=True, kw_only=True)
class LayerGroup:
    """Transformer layers that are alike in what they cache."""

    layers: int
    kv_heads: int
    head_dimension: int
    element_bytes: int
    window_tokens: int | None = None
    """Sliding attention window [tokens]; None where a layer attends to the whole context."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """A row of Table 8; a hybrid model has several layer groups."""

    profile: str
    layer_groups: tuple[LayerGroup, ...]


@dataclass(frozen=True, kw_only=True)
class MoeConfig:
    """A row of Table 6."""

    experts: int
    top_k: int
    hidden_dimension: int
    element_bytes: int = 2
    """BF16, the precision of Table 6."""


@dataclass(frozen=True, kw_only=True)
class RoutingMode:
    """A row of Table 7."""

    description: str
    traffic: str


@dataclass(frozen=True, kw_only=True)
class DispatchMode:
    """A column of Table 12; pairs are the lowest and the highest typical value."""

    phase: str
    batch_tokens: tuple[int, int]
    payload: str
    queue_pairs: tuple[int, int]
    """Per connection."""
    dispatch_bytes: tuple[int, int]
    """Aggregate of a dispatch."""
    reference: str


@dataclass(frozen=True, kw_only=True)
class ReportElement:
    """A row of Table 9."""

    format: str
    requirement: str
    """required, recommended or optional."""


@dataclass(frozen=True, kw_only=True)
class ReportContents:
    """What Section 14 wants in a report."""

    system_configuration: tuple[str, ...]
    workload_characterization: tuple[str, ...]
    for_each_test: tuple[str, ...]
    elements: Mapping[str, ReportElement]


@dataclass(frozen=True, kw_only=True)
class KpiTests:
    """A row of Table 10."""

    tests: tuple[str, ...]
    dut: tuple[str, ...]


@cache
def load_duts() -> Mapping[str, Dut]:
    """Return Table 1 by DUT id.

    Draft: Section 3.3.
    """
    return _records(Dut, "duts.yml")


@cache
def load_kpis() -> Mapping[str, Kpi]:
    """Return Tables 2 to 5 by name.

    Draft: Section 4.
    """
    return _kpis("kpis.yml")


@cache
def load_derived() -> Mapping[str, Kpi]:
    """Return the values that tests report and Tables 2 to 5 do not name, by name."""
    return _kpis("derived.yml")


def kpi(name: str) -> Kpi:
    """Return a KPI of Tables 2 to 5 or a derived value.

    Raises:
        SpecError: There is none of that name.
    """
    for table in (load_kpis(), load_derived()):
        if name in table:
            return table[name]
    raise SpecError(f"KPI {name!r}: neither Tables 2 to 5 nor the derived values name it")


@cache
def load_models() -> Mapping[str, Model]:
    """Return the models of Table 8 by id, CFG-A to CFG-D.

    Draft: Section 10.1.
    """
    with data_file("models.yml") as path:
        return MappingProxyType({name: model(entry, f"models.yml: {name}") for name, entry in load_yaml(path).items()})


def model(values: object, where: str) -> Model:
    """Return the model of already read values, such as the tester's own CFG-E; ``where`` opens every message.

    Raises:
        SpecError: An unknown or missing key.
    """
    read = build(Model, values, where)
    if not isinstance(read.layer_groups, list):
        raise SpecError(f"{where}.layer_groups: expected a list, found {read.layer_groups!r}")
    groups = (build(LayerGroup, group, f"{where}.layer_groups[{i}]") for i, group in enumerate(read.layer_groups))
    return Model(profile=read.profile, layer_groups=tuple(groups))


@cache
def load_moe_configs() -> Mapping[str, MoeConfig]:
    """Return Table 6 by id, M1 to M4.

    Draft: Section 7.1.
    """
    return _records(MoeConfig, "moe.yml", "configurations")


@cache
def load_routing_modes() -> Mapping[str, RoutingMode]:
    """Return Table 7 by name.

    Draft: Section 7.2.
    """
    return _records(RoutingMode, "moe.yml", "routing_modes")


@cache
def load_dispatch_modes() -> Mapping[str, DispatchMode]:
    """Return Table 12 by name.

    Draft: Appendix D.
    """
    return _records(DispatchMode, "moe.yml", "dispatch_modes")


@cache
def load_report_contents() -> ReportContents:
    """Return what Section 14 wants in a report, Table 9 included.

    Draft: Section 14.
    """
    with data_file("report.yml") as path:
        content = _tuples(load_yaml(path))
    elements = {
        name: build(ReportElement, entry, f"report.yml: elements.{name}") for name, entry in content["elements"].items()
    }
    return build(ReportContents, content | {"elements": MappingProxyType(elements)}, "report.yml")


@cache
def load_kpi_tests() -> Mapping[str, KpiTests]:
    """Return Table 10 by KPI.

    Draft: Appendix A.
    """
    return _records(KpiTests, "kpi_tests.yml")


def _records(kind: type[T], name: str, key: str = "") -> Mapping[str, T]:
    with data_file(name) as path:
        content = load_yaml(path)
    where = f"{name}: {key}." if key else f"{name}: "
    entries = content[key] if key else content
    return MappingProxyType({id_: build(kind, _tuples(values), where + id_) for id_, values in entries.items()})


def _kpis(name: str) -> Mapping[str, Kpi]:
    with data_file(name) as path:
        content = load_yaml(path)
    return MappingProxyType({id_: _kpi(id_, values, f"{name}: {id_}") for id_, values in content.items()})


def _kpi(name: str, values: dict[str, Any], where: str) -> Kpi:
    entry = _tuples(values)
    try:
        entry["observation_point"] = ObservationPoint(entry.get("observation_point", ""))
    except ValueError as error:
        known = ", ".join(ObservationPoint)
        raise SpecError(f"{where}.observation_point: expected one of {known}") from error
    return build(Kpi, entry | {"name": name}, where)


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
