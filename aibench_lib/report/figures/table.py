"""The figure of kind ``table``: the KPIs of a test by two parameters, or by trial."""

from collections.abc import Mapping

from aibench_lib.catalogue import Benchmark, Scalar
from aibench_lib.journal import Journal
from aibench_lib.model import Value
from aibench_lib.report.figures.style import Figure, name_unit
from aibench_lib.report.notes import why_undefined
from aibench_lib.report.numbers import (
    UNDEFINED,
    decimals,
    interval,
    is_yes_or_no,
    label,
    level,
    number,
    words,
    yes_or_no,
)
from aibench_lib.report.results import Results, lab_sentence
from aibench_lib.report.tables import Table


def by_level(results: Results, benchmark: Benchmark) -> Figure | None:
    """Return a table with a block a KPI, a row a value of ``figure.rows`` and a column a value of ``figure.x``."""
    figure = benchmark.figure
    own = [value for value in results.of(benchmark.id) if value.kpi in figure.y and value.statistic == "mean"]
    own = [value for value in own if {figure.rows, figure.x} <= _parameters(value).keys()]
    if not own:
        return None
    row_levels, column_levels = (
        tuple(dict.fromkeys(_parameters(value)[name] for value in own)) for name in (figure.rows, figure.x)
    )
    cells = {(value.kpi, _parameters(value)[figure.rows], _parameters(value)[figure.x]): value for value in own}
    rows = []
    for kpi in figure.y:
        of_kpi = [value for value in own if value.kpi == kpi]
        if of_kpi:
            places, name = decimals(value.value for value in of_kpi), name_unit(kpi, of_kpi[0].unit)
            for row in row_levels:
                texts = (_mean(cells.get((kpi, row, column)), places) for column in column_levels)
                rows.append((name, level(figure.rows, row), *texts))
    columns = ("KPI", label(figure.rows), *(level(figure.x, column) for column in column_levels))
    names = f"{', '.join(figure.y[:-1])} and {figure.y[-1]}"
    return _figure(
        results,
        benchmark,
        title=f"{names} by {words(figure.rows)} and {words(figure.x)}",
        caption="Means over trials with 95 % confidence intervals.",
        table=(columns, tuple(rows), tuple(range(2, len(columns)))),
    )


def by_trial(results: Results, benchmark: Benchmark) -> Figure | None:
    """Return a table with a row a trial, as the journal of the run holds them, and a column a KPI."""
    events = Journal(results.path / "journal.jsonl").events()
    trials = [event for event in events if event["event"] == "trial_done" and event["test"] == benchmark.id]
    if not trials:
        return None
    keys = tuple(dict.fromkeys(key for trial in trials for key in {**trial["setting"], **trial["point"]}))
    kpis = tuple(kpi for kpi in benchmark.figure.y if any(kpi in trial["values"] for trial in trials))
    units = {value.kpi: value.unit for value in results.of(benchmark.id)}
    places = {kpi: decimals((trial["values"].get(kpi) for trial in trials), units.get(kpi, "")) for kpi in kpis}
    missing = [kpi for kpi in kpis if any(trial["values"].get(kpi) is None for trial in trials)]
    rows = tuple(
        (
            *(level(key, {**trial["setting"], **trial["point"]}.get(key, UNDEFINED)) for key in keys),
            str(trial["trial"]),
            *(_single(kpi, trial["values"].get(kpi), places[kpi]) for kpi in kpis),
        )
        for trial in trials
    )
    columns = (*(label(key) for key in keys), "Trial", *(name_unit(kpi, units.get(kpi, "")) for kpi in kpis))
    return _figure(
        results,
        benchmark,
        title="Every trial",
        caption=" ".join(["A row is a trial.", *(f"{kpi} n/a, {why_undefined(kpi)}." for kpi in missing)]),
        table=(columns, rows, tuple(range(len(keys) + 1, len(columns)))),
    )


def _figure(
    results: Results,
    benchmark: Benchmark,
    *,
    title: str,
    caption: str,
    table: tuple[tuple[str, ...], tuple[tuple[str, ...], ...], tuple[int, ...]],
) -> Figure:
    columns, rows, numeric = table
    name = f"{title} ({lab_sentence(results.lab)})"
    made = Table(caption=name, columns=columns, rows=rows, numeric=numeric)
    return Figure(name=f"test-{benchmark.id}-table", title=title, caption=caption, table=made)


def _mean(value: Value | None, places: int) -> str:
    if value is None:
        return UNDEFINED
    if is_yes_or_no(value.kpi) and value.value is not None:
        return yes_or_no(value.value * value.n, value.n)
    return f"{number(value.value, places)} {interval(value.ci_low, value.ci_high, places)}".rstrip()


def _single(kpi: str, value: float | None, places: int) -> str:
    if value is None or not is_yes_or_no(kpi):
        return number(value, places)
    return "yes" if value else "no"


def _parameters(value: Value) -> Mapping[str, Scalar]:
    return {**value.setting, **value.point}
