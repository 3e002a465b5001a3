"""The KPI table for the terminal: plain text, at most 110 columns wide."""

from collections.abc import Mapping
from pathlib import Path

from aibench_lib.report.kpi_tables import KpiTable, summarise
from aibench_lib.report.results import Results, lab_sentence, read_results

_HEADINGS: Mapping[tuple[str, str], str] = {
    ("ECN_marking_rate", "mean"): "marking",
    ("marking_onset", "mean"): "onset",
    ("queue_depth_at_onset", "mean"): "queue at onset",
    ("Fabric_Goodput", "mean"): "goodput",
    ("Packet_drop_rate", "mean"): "drops",
    ("Fabric_FCT", "p50"): "FCT p50",
    ("Fabric_FCT", "p99"): "FCT p99",
    ("JFI", "mean"): "JFI",
}
"""What fits a terminal, by KPI and statistic; the report holds all."""


def kpi_table(results: Path) -> str:
    """Return the main KPIs of a results directory as a plain text table, one block a setting.

    Raises:
        SpecError: As for :func:`aibench_lib.report.results.read_results`.
    """
    read = read_results(results)
    return "\n\n".join(_test(read, test) for test in dict.fromkeys(value.test for value in read.values))


def _test(results: Results, test: str) -> str:
    table = summarise(results.values, test)
    lines = [
        f"Test {test} ({lab_sentence(results.lab)}): means over trials, percentiles over transfers",
        f"DUT counters: {results.sampling}",
    ]
    for group, rows in zip(table.groups, _blocks(table), strict=True):
        names = zip(table.setting_labels, group.setting, strict=True)
        lines += ["", ", ".join(f"{name} {value}" for name, value in names), *rows]
    return "\n".join(lines)


def _blocks(table: KpiTable) -> list[list[str]]:
    """Return the aligned lines of every group; all groups share the widths of their columns."""
    headings = [_HEADINGS.get((column.kpi, column.statistic)) for column in table.columns]
    shown = [number for number, heading in enumerate(headings) if heading]
    head = [
        [*table.point_labels, *(str(headings[number]) for number in shown)],
        [*("" for _ in table.point_labels), *(table.columns[number].unit for number in shown)],
    ]
    bodies = [[[*row.point, *(row.cells[n].value for n in shown)] for row in group.rows] for group in table.groups]
    every_row = [*head, *(row for body in bodies for row in body)]
    widths = [max(map(len, column)) for column in zip(*every_row, strict=True)]
    rule = "-" * (sum(widths) + 2 * len(widths) - 2)
    return [[_line(row, widths) for row in head] + [f"  {rule}"] + [_line(row, widths) for row in b] for b in bodies]


def _line(cells: list[str], widths: list[int]) -> str:
    return "  " + "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
