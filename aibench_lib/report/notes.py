"""What a reader of one test's KPI table must know beside it, a sentence each."""

from collections import Counter
from collections.abc import Iterable

from aibench_lib.report.kpi_tables import KpiTable
from aibench_lib.report.numbers import duration, is_yes_or_no
from aibench_lib.report.results import Results

_REAL = "real"
"""The method of values of which no part was simulated."""


def notes(results: Results, table: KpiTable) -> tuple[str, ...]:
    """Return the sentences below the KPI table of a test."""
    return (*_occurrences(table), *_undefined(table), *_method(results, table.test))


def _occurrences(table: KpiTable) -> Iterable[str]:
    names = [column.kpi for column in table.columns if is_yes_or_no(column.kpi)]
    if names:
        yield f"{' and '.join(names)}: yes where it occurred in at least one trial; in brackets, in how many."


def _undefined(table: KpiTable) -> Iterable[str]:
    """Say of which KPI some rows have no value, so that a missing event is not taken for a missing measurement."""
    found: dict[str, int] = {}
    for number, column in enumerate(table.columns):
        missing = sum(cell.number is None for group in table.groups for cell in group.column(number))
        if missing:
            found.setdefault(column.kpi, missing)
    if found:
        where = ", ".join(f"{kpi} in {missing} of {table.rows} rows" for kpi, missing in found.items())
        yield f"n/a ({where}): what it measures did not occur in any trial of the row, or was not seen there."


def _method(results: Results, test: str) -> Iterable[str]:
    counts = Counter(value.method for value in results.of(test) if value.method != _REAL)
    if counts:
        total = len(results.of(test))
        shares = [method if n == total else f"{method} ({n} of {total} values)" for method, n in counts.items()]
        yield f"Method of the values: {', '.join(shares)}."
    facts = results.run["methods"].get(test, {})
    if "simulated_seconds" in facts:
        simulated, skipped = (float(facts.get(f"{part}_seconds") or 0) for part in ("simulated", "skipped"))
        text = f"Lab time ({facts['method']}): {duration(simulated)} simulated packet by packet"
        rest = f"{duration(skipped)} skipped while the state of the fabric was steady or frozen"
        yield f"{text}, {rest if skipped else 'nothing skipped'}."
