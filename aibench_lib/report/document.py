"""Write ``report.html`` and ``report.md`` of a run."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from aibench_lib.catalogue import benchmark
from aibench_lib.files import write_whole
from aibench_lib.model import Value
from aibench_lib.report import sections
from aibench_lib.report.health import health_table
from aibench_lib.report.kpi_tables import OBSERVATION_POINTS, summarise
from aibench_lib.report.numbers import decimals, number
from aibench_lib.report.results import Results, lab_sentence, read_results

_TEMPLATES = Path(__file__).parents[2] / "templates" / "report"
_GLANCE = (
    ("ECN_marking_rate", "mean"),
    ("Fabric_Goodput", "mean"),
    ("Fabric_FCT", "p99"),
    ("Packet_drop_rate", "mean"),
)
"""KPIs whose range opens the report."""


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
        "title": f"Test {', '.join(tests)}: {', '.join(benchmark(test).title for test in tests)}",
        "lab": str(results.lab),
        "lab_sentence": lab_sentence(results.lab),
        "glance": list(_glance(results.values)),
        "system": sections.system(results.run),
        "workload": sections.workload(results.run),
        "tests": [{**_test(results, test), "figures": draw(results, test)} for test in tests],
        "observation_points": list(OBSERVATION_POINTS.values()),
        "sampling": results.sampling,
        "health": health_table(results),
        "deviations": sections.deviations(results.run),
        "discarded": sections.discarded(results.run),
        "anomalies": sections.anomalies(results.run),
        "programmed": sections.programmed(results.run),
        "provenance": sections.provenance(results.run),
        "raw_data": sections.raw_data(results),
    }


def _test(results: Results, test: str) -> Mapping[str, Any]:
    entry = benchmark(test)
    return {
        "id": test,
        "title": entry.title,
        "dut": entry.dut,
        "kpis": summarise(results.values, test),
        "definitions": sections.definitions(value.kpi for value in results.values if value.test == test),
    }


def _glance(values: Sequence[Value]) -> Iterable[tuple[str, str, str]]:
    """Give name, range over all points, and unit of the KPIs that open the report."""
    for kpi, statistic in _GLANCE:
        own = [value for value in values if (value.kpi, value.statistic) == (kpi, statistic)]
        defined = [value.value for value in own if value.value is not None]
        if defined:
            places = max(0, decimals(defined) - 1)
            low, high = number(min(defined), places), number(max(defined), places)
            name = kpi if statistic == "mean" else f"{kpi} {statistic}"
            yield name, low if low == high else f"{low} to {high}", own[0].unit


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
