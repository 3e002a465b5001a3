"""Read what a report is made of: ``run.json`` and ``kpis.csv`` of a results directory."""

import csv
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aibench_lib.errors import SpecError
from aibench_lib.journal import Journal
from aibench_lib.model import LabKind, ObservationPoint, Value
from aibench_lib.report.numbers import UNDEFINED, duration
from aibench_lib.units import NS_PER_SECOND

_REQUIRED = ("run", "draft", "lab", "profile", "started", "finished", "tests", "trials_planned", "trials_done")
_DEFAULTS: Mapping[str, Any] = {
    "terminology": "not recorded",
    "seed": "not recorded",
    "git_commit": None,
    "inventory_sha256": "not recorded",
    "versions": {},
    "discarded": [],
    "deviations": [],
    "anomalies": [],
    "programmed": [],
    "rendered_sha256": {},
    "system": {},
    "workload": {},
    "telemetry": {},
    "methods": {},
    "starts": [],
}
"""What a run that was cut short may lack."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """One run's results directory, read."""

    path: Path
    run: Mapping[str, Any]
    """``run.json``: what was run, with what, when, and what happened."""
    values: tuple[Value, ...]
    """``kpis.csv``, in its order."""

    def of(self, test: str) -> tuple[Value, ...]:
        """Return the values of one test."""
        return tuple(value for value in self.values if value.test == test)

    @functools.cached_property
    def _done(self) -> Sequence[Mapping[str, Any]]:
        path = self.path / "journal.jsonl"
        return [event for event in Journal(path).events() if event["event"] == "trial_done"] if path.exists() else []

    def remarks(self, test: str) -> tuple[Mapping[str, str], ...]:
        """Return what the procedure of a test remarked on each of its trials, with the trial's setting and point."""
        return tuple(
            {**event["setting"], **event["point"], **event.get("remarks", {})}
            for event in self._done
            if event["test"] == test
        )

    @property
    def lab(self) -> LabKind:
        """The label of every value of this run."""
        return LabKind(self.run["lab"])

    def sampling(self, test: str) -> str:
        """Return how often a test's observed counters were sampled; what is seen in a sample is no finer than that."""
        interval_ns = self.run["telemetry"].get("sample_interval_ns", {}).get(test)
        if interval_ns is None:
            return "the sampling interval is not recorded"
        return f"the observed ports are sampled every {duration(interval_ns / NS_PER_SECOND)} on the lab's clock"


def lab_sentence(lab: LabKind) -> str:
    """Return the sentence that says what stood behind the wires; it stands at every number a report prints."""
    return {
        LabKind.SIMULATED: "simulated: no hardware was measured",
        LabKind.KERNEL: "kernel: Linux forwarded the packets, no switch hardware was measured",
        LabKind.HARDWARE: "hardware",
    }[lab]


def read_results(path: Path) -> Results:
    """Return the results of the directory ``path``.

    Raises:
        SpecError: ``run.json`` or ``kpis.csv`` is missing, or does not hold what it should.
    """
    return Results(path=path, run=_read_run(path / "run.json"), values=_read_values(path / "kpis.csv"))


def _read_run(path: Path) -> Mapping[str, Any]:
    try:
        run = json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise SpecError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(run, dict):
        raise SpecError(f"{path}: expected keys and values, found {type(run).__name__}")
    for key in _REQUIRED:
        if key not in run:
            raise SpecError(f"{path}: {key}: missing; this key is required")
    if run["lab"] not in list(LabKind):
        raise SpecError(f"{path}: lab: {run['lab']!r} is none of {', '.join(LabKind)}")
    return {**_DEFAULTS, **run}


def _read_values(path: Path) -> tuple[Value, ...]:
    rows = csv.DictReader(_text(path).splitlines())
    try:
        return tuple(_value(row) for row in rows)
    except (KeyError, TypeError, ValueError) as error:
        raise SpecError(f"{path}: line {rows.line_num}: {type(error).__name__}: {error}; rebuild the KPIs") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SpecError(f"{path}: no such file; name the directory of a finished run, results/<run>") from error


def _value(row: Mapping[str, str]) -> Value:
    return Value(
        run=row["run"],
        test=row["test"],
        setting=json.loads(row["setting"]),
        point=json.loads(row["point"]),
        kpi=row["kpi"],
        statistic=row["statistic"],
        value=_float(row["value"]),
        unit=row["unit"],
        ci_low=_float(row["ci_low"]),
        ci_high=_float(row["ci_high"]),
        n=int(row["n"]),
        observation_point=ObservationPoint(row["observation_point"]),
        lab=LabKind(row["lab"]),
        method=row.get("method", "real"),
    )


def _float(text: str) -> float | None:
    return None if text in ("", UNDEFINED) else float(text)
