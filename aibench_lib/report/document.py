"""Write ``report.html`` and ``report.md`` of a run."""

from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from aibench_lib.catalogue import benchmark
from aibench_lib.files import write_whole
from aibench_lib.kpi.names import bare
from aibench_lib.report import programmed, sections
from aibench_lib.report.health import health_table
from aibench_lib.report.kpi_tables import OBSERVATION_POINTS, KpiTable, summarise
from aibench_lib.report.notes import notes
from aibench_lib.report.numbers import UNDEFINED
from aibench_lib.report.results import Results, lab_sentence, read_results

_TEMPLATES = Path(__file__).parents[2] / "templates" / "report"
_GLANCE = (
    ("convergence_time", "mean"),
    ("KV_xfer_latency", "p50"),
    ("KV_xfer_latency", "p99"),
    ("Fabric_FCT", "p99"),
    ("Packet_drop_rate", "mean"),
)
"""KPIs and statistics that open the report beside those of the test's figure."""
_INSTEAD = {"p99": ("p95", "p50")}
"""What stands there for a percentile that no row has enough samples for."""


def write_report(results: Path) -> Path:
    """Write ``report.html`` and ``report.md`` into a results directory and return the path of ``report.html``.

    Draft: Section 14.

    Raises:
        SpecError: ``run.json``, ``kpis.csv`` or a sample file is missing or does not hold what it should.
        LabError: The files cannot be written.
    """
    read = read_results(results)
    content = _content(read)
    for name in ("report.md", "report.html"):
        _render(results / name, content)
    return results / "report.html"


def _render(path: Path, content: Mapping[str, Any]) -> None:
    page = _environment().get_template(f"{path.name}.j2").render(content)
    write_whole(path, lambda stream: stream.write(page.encode()))


def _content(results: Results) -> Mapping[str, Any]:
    # matplotlib takes about a second to import; only who writes a report pays for it
    from aibench_lib.report.figures import draw

    tests = list(dict.fromkeys([*results.run["tests"], *(value.test for value in results.values)]))
    return {
        "run": results.run,
        "title": _title(tests),
        "lab": str(results.lab),
        "lab_sentence": lab_sentence(results.lab),
        "system": sections.system(results.run),
        "workload": sections.workload(results.run),
        "tests": [{**_test(results, test), "figures": draw(results, test)} for test in tests],
        "observation_points": list(OBSERVATION_POINTS.values()),
        "health": health_table(results),
        "deviations": sections.deviations(results.run),
        "discarded": sections.discarded(results.run),
        "starts": sections.starts(results.run),
        "anomalies": sections.anomalies(results.run),
        "programmed": programmed.by_value(results.run),
        "programmed_by_feature": programmed.by_feature(results.run),
        "programmed_sentence": programmed.sentence(results.run),
        "provenance": sections.provenance(results.run),
        "rendered": sections.rendered(results.run),
        "raw_data": sections.raw_data(results),
    }


def _test(results: Results, test: str) -> Mapping[str, Any]:
    entry = benchmark(test)
    table = summarise(results.values, test)
    return {
        "id": test,
        "title": entry.title,
        "dut": entry.dut,
        "kpis": table,
        "notes": notes(results, table),
        "sampling": results.sampling(test),
        "glance": list(_glance(table)),
        "definitions": sections.definitions(value.kpi for value in results.of(test)),
    }


def _glance(table: KpiTable) -> Iterable[tuple[str, str, str]]:
    """Give name, range over all points, and unit of the KPIs of a test that open the report."""
    columns = {(bare(column.kpi), column.statistic): number for number, column in enumerate(table.columns)}
    defined = {name for name, number in columns.items() if not table.is_undefined(number)}
    chosen = ((kpi, _defined(kpi, statistic, defined)) for kpi, statistic in _GLANCE)
    wanted = dict.fromkeys((*((kpi, "mean") for kpi in benchmark(table.test).figure.y), *chosen))
    for kpi, statistic in wanted:
        if (kpi, statistic) in columns:
            number = columns[kpi, statistic]
            column = table.columns[number]
            spread = column.span(cell for group in table.groups for cell in group.column(number))
            yield (
                column.kpi if statistic == "mean" else f"{column.kpi} {statistic}",
                spread,
                "" if spread == UNDEFINED else column.unit,
            )


def _defined(kpi: str, statistic: str, defined: Container[tuple[str, str]]) -> str:
    """Return ``statistic``, or the first of those that may stand for it which some row defines."""
    choices = (statistic, *_INSTEAD.get(statistic, ()))
    return next((choice for choice in choices if (kpi, choice) in defined), statistic)


def _title(tests: Sequence[str]) -> str:
    if len(tests) == 1:
        return f"Test {tests[0]}: {benchmark(tests[0]).title}"
    return f"Tests {', '.join(tests[:-1])} and {tests[-1]}"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=jinja2.select_autoescape(enabled_extensions=("html.j2",)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = _markdown_cell
    return environment


def _markdown_cell(text: str) -> str:
    """Return ``text`` so that it stays in one cell of a Markdown table and is not read as markup."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("_", "\\_").replace("*", "\\*")
