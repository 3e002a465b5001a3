"""The KPI table for the terminal: plain text, at most 110 columns wide, about 25 lines a test."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from aibench_lib.kpi.names import bare
from aibench_lib.report.kpi_tables import KpiTable, summarise
from aibench_lib.report.results import Results, lab_sentence, read_results

_HEADINGS: Mapping[tuple[str, str], str] = {
    ("storm_occurred", "mean"): "storm",
    ("deadlock_occurred", "mean"): "deadlock",
    ("pause_propagation_depth", "mean"): "PAUSE depth",
    ("zero_throughput_duration", "mean"): "standstill",
    ("recovery_time", "mean"): "recovery",
    ("watchdog_trips", "mean"): "trips",
    ("KV_xfer_bandwidth", "mean"): "bandwidth",
    ("KV_xfer_latency", "p50"): "latency p50",
    ("KV_xfer_latency", "p95"): "latency p95",
    ("KV_xfer_latency", "p99"): "latency p99",
    ("KV_xfer_latency", "p99.9"): "latency p99.9",
    ("tail_latency_spread", "p99-p50"): "p99-p50",
    ("background_delivered", "mean"): "background",
    ("disruption_duration", "mean"): "disruption",
    ("full_recovery_time", "mean"): "full recovery",
    ("convergence_time", "mean"): "convergence",
    ("steady_state_bandwidth_kv_cache", "mean"): "KV cache",
    ("steady_state_bandwidth_expert_parallelism", "mean"): "EP",
    ("packet_loss_during_convergence", "mean"): "lost",
    ("maximum_link_utilization", "mean"): "max link",
    ("minimum_link_utilization", "mean"): "min link",
    ("oversubscription_ratio", "mean"): "oversubscr.",
    ("reordered_packets", "mean"): "reordered",
    ("PFC_frame_count", "mean"): "PFC frames",
    ("pause_duration", "mean"): "paused",
    ("hol_blocking_delay", "mean"): "HoL delay",
    ("victim_delay", "mean"): "victim delay",
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
_ROWS = 20
"""A test with more rows is printed with a row a setting."""
_WIDTH = 110


def kpi_table(results: Path) -> str:
    """Return the main KPIs of a results directory as a plain text table for each test.

    Raises:
        SpecError: As for :func:`aibench_lib.report.results.read_results`.
    """
    read = read_results(results)
    return "\n\n".join(_test(read, test) for test in dict.fromkeys(value.test for value in read.values))


def _test(results: Results, test: str) -> str:
    table = summarise(results.values, test)
    shown = [number for number in range(len(table.columns)) if _is_shown(table, number)]
    if table.rows > _ROWS:
        what = f"ranges over a setting's points; all {table.rows} rows: report.md"
        labels, body = table.setting_labels, _ranges(table, shown)
    else:
        has_percentiles = any(table.columns[number].statistic != "mean" for number in shown)
        what = "means over trials" + (", percentiles over transfers" if has_percentiles else "")
        labels, body = (*table.setting_labels, *table.point_labels), _every_row(table, shown)
    columns = [table.columns[number] for number in shown]
    head = [
        [*labels, *(_HEADINGS[bare(column.kpi), column.statistic] for column in columns)],
        [*("" for _ in labels), *(column.unit for column in columns)],
    ]
    return "\n".join(
        [
            f"Test {test} ({lab_sentence(results.lab)}): {what}",
            f"DUT counters: {results.sampling(test)}",
            "",
            *_aligned(head, body),
        ]
    )


def _is_shown(table: KpiTable, number: int) -> bool:
    """Leave out a percentile that no row has enough samples for; a mean without a value tells that nothing occurred."""
    column = table.columns[number]
    is_wanted = (bare(column.kpi), column.statistic) in _HEADINGS
    return is_wanted and (column.statistic == "mean" or not table.is_undefined(number))


def _every_row(table: KpiTable, shown: Sequence[int]) -> list[list[str]]:
    """Return the rows of all settings; a setting is named in its first row."""
    return [
        [*(group.setting if first else ("",) * len(group.setting)), *row.point, *(row.cells[n].value for n in shown)]
        for group in table.groups
        for first, row in zip([True] + [False] * len(group.rows), group.rows, strict=False)
    ]


def _ranges(table: KpiTable, shown: Sequence[int]) -> list[list[str]]:
    return [[*group.setting, *(table.columns[n].span(group.column(n)) for n in shown)] for group in table.groups]


def _aligned(head: list[list[str]], body: list[list[str]]) -> list[str]:
    """Return the lines, flush right; columns beyond the terminal's width are left to the report."""
    widths = [max(map(len, column)) for column in zip(*head, *body, strict=True)]
    while sum(widths) + 2 * len(widths) > _WIDTH:
        widths.pop()
    rule = "-" * (sum(widths) + 2 * len(widths) - 2)
    return [*(_line(row, widths) for row in head), f"  {rule}", *(_line(row, widths) for row in body)]


def _line(cells: list[str], widths: list[int]) -> str:
    return "  " + "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=False)).rstrip()
