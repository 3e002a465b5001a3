"""The fabric health indicators of Table 5: what the run measured, and why it did not measure the rest."""

from aibench_lib.catalogue import load_kpis
from aibench_lib.model import LabKind
from aibench_lib.report.kpi_tables import OBSERVATION_POINTS
from aibench_lib.report.numbers import decimals, interval, number, quantity, words
from aibench_lib.report.results import Results
from aibench_lib.report.tables import Table

_TABLE = 5
_NOT_MODELLED = {
    "CPU Utilization (switch)": "the simulated switches have no control plane CPU",
    "Memory Usage (switch)": "the simulated switches have no memory but the packet buffer (see Buffer_utilization)",
    "FEC Error Rate": "the simulated links have no bit errors",
    "CRC Error Count": "the simulated links have no bit errors",
    "BGP/OSPF Stability": "no routing protocol runs in the simulated fabric",
    "NIC QP State": "the simulated queue pairs have no error state",
    "GPU-NIC PCIe BW": "no GPU and no PCIe bus is simulated",
}
"""Indicator -> why the simulated lab cannot have it."""


def health_table(results: Results) -> Table:
    """Return one row for each fabric health indicator; the draft's typical ranges are not printed beside them.

    Draft: Section 4.4, Table 5.
    """
    indicators = [name for name, kpi in load_kpis().items() if kpi.table == _TABLE]
    rows = [row for indicator in indicators for row in _rows(results, indicator)]
    return Table(
        caption="Fabric health indicators",
        columns=("Indicator", "In this run"),
        rows=tuple(rows),
    )


def _rows(results: Results, indicator: str) -> list[tuple[str, ...]]:
    measured = [value for value in results.values if value.kpi == indicator]
    if not measured:
        return [(indicator, f"not measured in this run: {_reason(results.lab, indicator)}")]
    places = decimals(value.value for value in measured)
    rows: list[tuple[str, ...]] = []
    for value in measured:
        where = [f"{words(key)} {quantity(key, part)}" for key, part in {**value.setting, **value.point}.items()]
        measured_as = [value.statistic, f"n={value.n:,}", OBSERVATION_POINTS[value.observation_point]]
        bounds = interval(value.ci_low, value.ci_high, places)
        text = f"{number(value.value, places)} {value.unit} {bounds}".rstrip()
        rows.append((indicator, f"{text} ({', '.join(measured_as + where)})"))
    return rows


def _reason(lab: LabKind, indicator: str) -> str:
    return _NOT_MODELLED[indicator] if lab is LabKind.SIMULATED else "this test's telemetry does not collect it"
