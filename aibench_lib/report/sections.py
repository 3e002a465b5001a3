"""The tables of a report beside the KPIs: system, workload, what deviated, what was discarded, where it comes from."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from aibench_lib.catalogue import kpi
from aibench_lib.kpi.names import bare
from aibench_lib.report.numbers import duration, level, quantity, text, typed, words
from aibench_lib.report.results import Results
from aibench_lib.report.tables import Table

_EVERY_TEST = "all"
_STARTED_BY = {"clock": "each host's clock", "trigger": "a datagram through the fabric"}
_OF_TEST = re.compile(r"Test (\d+\.\d+): (.*)")
_KEY = re.compile("[a-z][a-z0-9_]*")
"""What the program names a value by, unlike words for a reader."""
_ASSIGNMENT = re.compile(r"(\w+)=(\S+)")
_PORT_BY_PORT = re.compile(r"=\{[^}]*\}")
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
    facts = [_parameter(str(key), value) for key, value in run["workload"].items()]
    rows = tuple(sorted(facts, key=lambda fact: fact[0] != _EVERY_TEST))  # the tests keep their order among themselves
    return Table(caption="Workload parameters", columns=("Test", "Parameter", "Value"), rows=rows)


def definitions(kpis: Iterable[str]) -> Table:
    """Return what each of ``kpis`` is.

    Draft: Sections 4.1 to 4.4.
    """
    rows = tuple((name, kpi(bare(name)).definition) for name in dict.fromkeys(kpis))
    return Table(caption="Definitions of the KPIs", columns=("KPI", "Definition"), rows=rows)


def deviations(run: Mapping[str, Any]) -> Table:
    """Return where the run differs from what the draft asks."""
    rows = tuple((_subject(str(d["subject"])), str(d["draft"]), str(d["here"])) for d in run["deviations"])
    return Table(caption="Deviations from the draft", columns=("Subject", "The draft", "This run"), rows=rows)


def discarded(run: Mapping[str, Any]) -> Table:
    """Return the trials that were run and not used."""
    rows = tuple((str(trial["trial"]), str(trial["reason"])) for trial in run["discarded"])
    return Table(caption="Discarded trials", columns=("Trial", "Reason"), rows=rows)


def starts(run: Mapping[str, Any]) -> Table:
    """Return how simultaneously the senders of trials on real hosts began."""
    rows = tuple(
        (
            str(start["test"]),
            _STARTED_BY[start["method"]],
            str(start["trials"]),
            *(duration(start[f"{what}_seconds"]) for what in ("median_skew", "worst_skew", "worst_uncertainty")),
        )
        for start in run["starts"]
    )
    columns = ("Test", "Started by", "Trials", "Skew, median", "Skew, worst", "Uncertainty, worst")
    return Table(caption="Start of the senders", columns=columns, rows=rows, numeric=(2, 3, 4, 5))


def anomalies(run: Mapping[str, Any]) -> Table:
    """Return what a reader of the results must know."""
    rows = tuple((str(anomaly["text"]), _where(anomaly.get("where"))) for anomaly in run["anomalies"])
    return Table(caption="Anomalies", columns=("What", "Where"), rows=rows)


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
    }
    rows = tuple((name, str(value)) for name, value in facts.items())
    return Table(caption="Provenance", columns=("Fact", "Value"), rows=rows)


def rendered(run: Mapping[str, Any]) -> Table:
    """Return the fingerprint of each configuration that was rendered and sent to a switch."""
    rows = tuple((_short(str(name)), str(digest)) for name, digest in run["rendered_sha256"].items())
    columns = ("Switch and setting", "SHA-256")
    return Table(caption="Rendered configurations", columns=columns, rows=rows, is_detail=True)


def raw_data(results: Results) -> tuple[tuple[str, str], ...]:
    """Return relative link and description of each raw data file or folder that the run has.

    Draft: Section 14, Table 9 (Raw Data Appendix).
    """
    return tuple((name, text) for name, text in _RAW_DATA if _holds_data(results.path / name))


def _holds_data(path: Path) -> bool:
    return any(path.iterdir()) if path.is_dir() else path.exists()


def _parameter(key: str, value: object) -> tuple[str, str, str]:
    """Return test, parameter and value of one fact of the workload; ``Test 8.1: message_bytes`` names both."""
    match = _OF_TEST.fullmatch(key)
    if not match:
        return (_EVERY_TEST, *_fact(key, value))
    levels = value.split(", ") if isinstance(value, str) else [value]
    return (match[1], *_fact(match[2], [typed(one) for one in levels]))


def _fact(key: str, value: object) -> tuple[str, str]:
    """Return name and value as text; a key of the program becomes words and its unit moves to the value."""
    if not _KEY.fullmatch(key):
        return key, text("", value)
    return words(key), text(key, typed(value))


def _subject(subject: str) -> str:
    """Return the subject of a deviation with its settings as words: ``load balancing packet spray``."""
    return _ASSIGNMENT.sub(lambda match: f"{words(match[1])} {level(match[1], typed(match[2]))}", subject)


def _short(name: str) -> str:
    """Return the name of a rendered configuration without what it says port by port."""
    return _PORT_BY_PORT.sub(lambda match: f" of {match[0].count(': ')}", name)


def _where(where: object) -> str:
    if isinstance(where, Mapping):
        return ", ".join(f"{words(str(key))} {level(str(key), value)}" for key, value in where.items())
    return str(where or "")
