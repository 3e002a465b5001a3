"""The tables of a report beside the KPIs: system, workload, what deviated, what was discarded, where it comes from."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from aibench_lib.catalogue import kpi
from aibench_lib.report.numbers import level, quantity, words
from aibench_lib.report.results import Results
from aibench_lib.report.tables import Table

_RAW_DATA = (
    ("kpis.csv", "every KPI value, one a row"),
    ("kpis.json", "the same as JSON"),
    ("kpis.parquet", "the same as Parquet"),
    ("run.json", "how the run was made"),
    ("journal.jsonl", "what happened, event by event"),
    ("samples/", "one Parquet file a trial: every transfer of every host"),
    ("series/", "one Parquet file a trial: what was followed over time"),
    ("telemetry/", "what the switches reported, Parquet"),
    ("settings/", "the switches' configuration before the run"),
)


def system(run: Mapping[str, Any]) -> Table:
    """Return the system configuration.

    Draft: Section 14 (System Configuration Report).
    """
    rows = [(part, *_fact(str(key), value)) for part, keys in run["system"].items() for key, value in keys.items()]
    return Table(caption="System configuration", columns=("Part", "Property", "Value"), rows=tuple(rows))


def workload(run: Mapping[str, Any]) -> Table:
    """Return what was offered.

    Draft: Section 14 (Workload Characterization Report).
    """
    rows = tuple(_fact(str(key), value) for key, value in run["workload"].items())
    return Table(caption="Workload parameters", columns=("Parameter", "Value"), rows=rows)


def definitions(kpis: Iterable[str]) -> Table:
    """Return what each of ``kpis`` is.

    Draft: Sections 4.1 to 4.4.
    """
    rows = tuple((name, kpi(name).definition) for name in dict.fromkeys(kpis))
    return Table(caption="Definitions of the KPIs", columns=("KPI", "Definition"), rows=rows)


def deviations(run: Mapping[str, Any]) -> Table:
    """Return where the run differs from what the draft asks."""
    rows = tuple((str(d["subject"]), str(d["draft"]), str(d["here"])) for d in run["deviations"])
    return Table(caption="Deviations from the draft", columns=("Subject", "The draft", "This run"), rows=rows)


def discarded(run: Mapping[str, Any]) -> Table:
    """Return the trials that were run and not used."""
    rows = tuple((str(trial["trial"]), str(trial["reason"])) for trial in run["discarded"])
    return Table(caption="Discarded trials", columns=("Trial", "Reason"), rows=rows)


def anomalies(run: Mapping[str, Any]) -> Table:
    """Return what a reader of the results must know."""
    rows = tuple((str(anomaly["text"]), _where(anomaly.get("where"))) for anomaly in run["anomalies"])
    return Table(caption="Anomalies", columns=("What", "Where"), rows=rows)


def programmed(run: Mapping[str, Any]) -> Table:
    """Return each switch setting as requested and as read back from the device."""
    rows = [row for change in run["programmed"] for row in _change(change)]
    columns = ("Switch", "Platform", "Feature", "Value", "Requested", "Programmed", "Equal")
    return Table(caption="Switch settings", columns=columns, rows=tuple(rows), numeric=(4, 5))


def programmed_sentence(run: Mapping[str, Any]) -> str:
    """Return in one sentence whether the devices took what was requested."""
    rows = programmed(run).rows
    differ = sum(row[-1] == "no" for row in rows)
    if not differ:
        return f"All {len(rows):,} values read back from the switches are those requested."
    return f"{differ:,} of {len(rows):,} values read back from the switches differ from those requested."


def provenance(run: Mapping[str, Any]) -> Table:
    """Return what the run was made from, so that it can be made again."""
    facts = {
        "Run": run["run"],
        "Methodology": run["draft"],
        "Terminology": run["terminology"],
        "Profile": run["profile"],
        "Seed": run["seed"],
        "Started": run["started"],
        "Finished": run["finished"],
        "Git commit": run["git_commit"] or "not recorded",
        "Inventory (SHA-256)": run["inventory_sha256"],
        **{f"Version of {name}": version for name, version in run["versions"].items()},
        **{
            f"Telemetry {words('sample_interval_ns')}, Test {test}": quantity("sample_interval_ns", value)
            for test, value in run["telemetry"].get("sample_interval_ns", {}).items()
        },
        **{f"Rendered {name} (SHA-256)": digest for name, digest in run["rendered_sha256"].items()},
    }
    rows = tuple((name, str(value)) for name, value in facts.items())
    return Table(caption="Provenance", columns=("Fact", "Value"), rows=rows)


def raw_data(results: Results) -> tuple[tuple[str, str], ...]:
    """Return relative link and description of each raw data file or folder that the run has.

    Draft: Section 14, Table 9 (Raw Data Appendix).
    """
    return tuple((name, text) for name, text in _RAW_DATA if _holds_data(results.path / name))


def _holds_data(path: Path) -> bool:
    return any(path.iterdir()) if path.is_dir() else path.exists()


def _change(change: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for key in {**change["requested"], **change["programmed"]}:
        requested, read_back = (change[side].get(key, "not recorded") for side in ("requested", "programmed"))
        texts = (_text(key, requested), _text(key, read_back))
        equal = "yes" if requested == read_back else "no"
        yield (change["host"], change["platform"], change["feature"], words(str(key)), *texts, equal)


def _fact(key: str, value: object) -> tuple[str, str]:
    """Return name and value as text; the unit in the name moves to the value where the value is a number."""
    return (key, value) if isinstance(value, str) else (words(key), _text(key, value))


def _where(where: object) -> str:
    if isinstance(where, Mapping):
        return ", ".join(f"{words(str(key))} {level(str(key), value)}" for key, value in where.items())
    return str(where or "")


def _text(key: str, value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(quantity(key, part) for part in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {quantity(str(name), part)}" for name, part in value.items())
    return quantity(key, value)
