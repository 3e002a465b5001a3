"""What a reader of one test's KPI table must know beside it, a sentence each."""

from collections import Counter
from collections.abc import Iterable

from aibench_lib.kpi.names import bare
from aibench_lib.report.kpi_tables import KpiCell, KpiColumn, KpiTable
from aibench_lib.report.numbers import duration, is_yes_or_no
from aibench_lib.report.results import Results

_WHY = {
    "convergence_time": "as the rates, or the routes, had not settled when the trial ended, or were not reported",
    "marking_onset": "as no packet was marked",
    "queue_depth_at_onset": "as no packet was marked",
    "recovery_time": "as no deadlock ended before its trial did",
    "KV_xfer_bandwidth": "as a queue pair completed no message before its trial ended",
    "cpu_utilization_sender": "as the agents do not say how busy their hosts are",
    "cpu_utilization_receiver": "as the agents do not say how busy their hosts are",
    "gpu_to_nic_overhead": "as no GPU takes part: what is sent lies in the memory of the host",
    "nic_offload_utilization": "as no counter of the NICs says it",
    "ttft_degradation": "as no model is served in this test",
    "tps_reduction": "as no model is served in this test",
    "full_recovery_time": "as a transfer did not go on before the link came back",
    "disruption_duration": "as no switch says when its routes change",
    "Link_utilization": "as a switch does not report what it sent often enough",
    "maximum_link_utilization": "as a switch does not report what it sent often enough",
}
"""KPI -> what it means that a trial has no value of it."""
_REMARKS = {
    "latency_stamp": "KV_xfer_latency is from the posting to the {}",
    "bandwidth_of": "KV_xfer_bandwidth is of {}",
    "load": "The load is {}",
}
"""What a procedure remarks on its trials -> the sentence that it makes."""
_REAL = "real"
"""The method of values of which no part was simulated."""


def notes(results: Results, table: KpiTable) -> tuple[str, ...]:
    """Return the sentences below the KPI table of a test."""
    return (*_occurrences(table), *_undefined(table), *_remarks(results, table), *_method(results, table.test))


def _occurrences(table: KpiTable) -> Iterable[str]:
    names = [column.kpi for column in table.columns if is_yes_or_no(column.kpi)]
    if names:
        yield f"{' and '.join(names)}: yes where it occurred in at least one trial; in brackets, in how many."


def why_undefined(kpi: str) -> str:
    """Return why a trial, or all trials of a row, have no value of a KPI."""
    return _WHY.get(bare(kpi), "as what it measures did not occur, or was not seen")


def _undefined(table: KpiTable) -> Iterable[str]:
    """Say of which KPI some rows have no value and why: a missing event is no missing measurement."""
    rows = [row for group in table.groups for row in group.rows]
    found: dict[str, dict[str, set[int]]] = {}
    for number, column in enumerate(table.columns):
        for position, row in enumerate(rows):
            if row.cells[number].number is None:
                why, what = _reason(column, row.cells[number])
                found.setdefault(why, {}).setdefault(what, set()).add(position)
    for why, where in found.items():
        names = ", ".join(f"{what} in {len(positions)} of {len(rows)} rows" for what, positions in where.items())
        yield f"{names}: n/a, {why}."


def _reason(column: KpiColumn, cell: KpiCell) -> tuple[str, str]:
    """Return why a cell has no value, and the name under which the note lists it."""
    if column.statistic == "mean":
        return why_undefined(column.kpi), column.kpi
    if not cell.count:
        return "as no trial of the row has a sample", column.kpi
    return (
        "for want of samples (p95 is defined from 20 on, p99 from 100, p99.9 from 1000)",
        f"{column.kpi} {column.statistic}",
    )


def _remarks(results: Results, table: KpiTable) -> Iterable[str]:
    """Say how values came about, and what carried those whose names are qualified."""
    trials = results.remarks(table.test)
    for key, sentence in _REMARKS.items():
        counts = Counter(trial[key] for trial in trials if key in trial)
        for text, count in counts.items():
            where = "in all trials" if count == len(trials) else f"in {count} of {len(trials)} trials"
            yield f"{sentence.format(text)} ({where})."
    names = [column.kpi for column in table.columns if column.kpi != bare(column.kpi)]
    if names:
        yield (
            f"{' and '.join(dict.fromkeys(names))}: in brackets, what carried the bytes. Only RDMA by a NIC gives "
            "these KPIs without it."
        )


def _method(results: Results, test: str) -> Iterable[str]:
    counts = Counter(value.method for value in results.of(test) if value.method != _REAL)
    parts = []
    if counts:
        total = len(results.of(test))
        shares = [method if n == total else f"{method} ({n} of {total} values)" for method, n in counts.items()]
        parts.append(f"Method of the values: {', '.join(shares)}.")
    facts = results.run["methods"].get(test, {})
    if "simulated_seconds" in facts:
        simulated, skipped = (float(facts.get(f"{part}_seconds") or 0) for part in ("simulated", "skipped"))
        rest = f"{duration(skipped)} skipped while the state of the fabric was steady or frozen"
        text = f"Lab time of all trials: {duration(simulated)} simulated packet by packet"
        parts.append(f"{text}, {rest if skipped else 'nothing skipped'}.")
    if parts:
        yield " ".join(parts)
