"""From the trials of a run to the rows of ``kpis.csv``, ``kpis.json`` and ``kpis.parquet``."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aibench_lib import stats
from aibench_lib.files import write_json, write_whole
from aibench_lib.kpi.names import BARE, qualified
from aibench_lib.model import LabKind, Value
from aibench_lib.procedures import PROCEDURES
from aibench_lib.procedures.procedure import Distribution, Quantity, defined
from aibench_lib.units import NS_PER_SECOND

UNDEFINED = "n/a"


def summarise(run: str, lab: LabKind, trials: Iterable[Mapping[str, Any]], samples: Path) -> list[Value]:
    """Return one value a setting, point, KPI and statistic.

    A quantity is averaged over the trials that define it, with a 95 % confidence interval over those trials;
    percentiles are taken over the transfers of all trials of a point together, never averaged.

    Args:
        run: Name of the run.
        lab: What stood behind the wires.
        trials: The journal's ``trial_done`` events.
        samples: Folder with one Parquet file a trial.
    """
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for trial in trials:
        key = (trial["test"], json.dumps(trial["setting"]), json.dumps(trial["point"]))
        groups.setdefault(key, []).append(trial)
    values = []
    for (test, setting, point), members in groups.items():
        common = {
            "run": run,
            "test": test,
            "setting": json.loads(setting),
            "point": json.loads(point),
            "lab": lab,
            "method": max(method_of(member) for member in members),
        }
        transport = "+".join(sorted({str(member.get("transport", BARE)) for member in members}))
        procedure = PROCEDURES[test]
        for quantity in procedure.quantities:
            values.append(_mean(quantity, members, {**common, "kpi": qualified(quantity.kpi, transport)}))
        for distribution in procedure.distributions:
            tables = [pq.read_table(samples / f"{member['trial']}.parquet") for member in members]
            pooled = np.concatenate([distribution.of(table) for table in tables])
            values.extend(_percentiles(distribution, pooled, {**common, "kpi": qualified(distribution.kpi, transport)}))
            if distribution.spread:
                values.append(_spread(distribution, pooled, {**common, "kpi": distribution.spread}))
    return values


def method_of(trial: Mapping[str, Any]) -> str:
    """Return how a trial's values came about: ``packet``, ``packet+skip``, or ``real``."""
    return str(trial.get("simulation", {}).get("method", "real"))


def methods(trials: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return how each test was simulated: test -> method, simulated and skipped time of all its trials [s]."""
    found: dict[str, dict[str, Any]] = {}
    for trial in trials:
        simulation = trial.get("simulation")
        if simulation:
            nothing = {"method": simulation["method"], "simulated_seconds": 0.0, "skipped_seconds": 0.0}
            so_far = found.setdefault(trial["test"], nothing)
            so_far["method"] = max(so_far["method"], simulation["method"])  # "packet+skip" where one trial skipped
            so_far["simulated_seconds"] += simulation["simulated_ns"] / NS_PER_SECOND
            so_far["skipped_seconds"] += simulation["skipped_ns"] / NS_PER_SECOND
    return found


def starts(trials: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return how the senders of trials on real hosts began, a row a test and method.

    A simulated lab has none: there every sender begins at T0.
    """
    found: dict[tuple[str, str], list[Mapping[str, int]]] = {}
    for trial in trials:
        if "start" in trial:
            found.setdefault((trial["test"], trial["start"]["method"]), []).append(trial["start"])
    return [
        {
            "test": test,
            "method": method,
            "trials": len(members),
            "median_skew_seconds": float(np.median([start["skew_ns"] for start in members])) / NS_PER_SECOND,
            "worst_skew_seconds": max(start["skew_ns"] for start in members) / NS_PER_SECOND,
            "worst_uncertainty_seconds": max(start["uncertainty_ns"] for start in members) / NS_PER_SECOND,
        }
        for (test, method), members in found.items()
    ]


def _mean(quantity: Quantity, trials: Sequence[Mapping[str, Any]], common: Mapping[str, Any]) -> Value:
    values = [trial["values"][quantity.kpi] for trial in trials]
    seen = np.array([value for value in values if value is not None], dtype=np.float64)
    low, high = stats.mean_confidence_interval(seen) if seen.size else (None, None)
    return Value(
        **common,
        statistic="mean",
        value=float(seen.mean()) if seen.size else None,
        unit=quantity.unit,
        ci_low=low,
        ci_high=high,
        n=int(seen.size),
        observation_point=quantity.observation_point,
    )


def _percentiles(what: Distribution, pooled: np.ndarray, common: Mapping[str, Any]) -> Iterable[Value]:
    def row(statistic: str, value: float | None, interval: tuple[float | None, float | None]) -> Value:
        return Value(
            **common,
            statistic=statistic,
            value=value,
            unit=what.unit,
            ci_low=interval[0],
            ci_high=interval[1],
            n=int(pooled.size),
            observation_point=what.observation_point,
        )

    for fraction in what.fractions:
        value = defined(lambda fraction=fraction: stats.percentile(pooled, fraction))  # type: ignore[misc] # bound now
        interval = stats.percentile_confidence_interval(pooled, fraction) if value is not None else (None, None)
        yield row(f"p{100 * fraction:g}", value, interval)
    yield row("max", float(pooled.max()) if pooled.size else None, (None, None))


def _spread(what: Distribution, pooled: np.ndarray, common: Mapping[str, Any]) -> Value:
    """Return P99 less P50; there is no interval for a difference of percentiles."""
    return Value(
        **common,
        statistic="p99-p50",
        value=defined(lambda: stats.percentile(pooled, 0.99) - stats.percentile(pooled, 0.5)),
        unit=what.unit,
        ci_low=None,
        ci_high=None,
        n=int(pooled.size),
        observation_point=what.observation_point,
    )


def write_values(values: Sequence[Value], folder: Path) -> None:
    """Write ``kpis.csv``, ``kpis.json`` and ``kpis.parquet`` into a run's folder.

    Raises:
        LabError: The disk is full or the folder cannot be written.
    """
    rows = [_row(value) for value in values]
    write_json(folder / "kpis.json", rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, _SCHEMA.names, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: UNDEFINED if value is None else _cell(value) for key, value in row.items()})
    write_whole(folder / "kpis.csv", lambda stream: stream.write(text.getvalue().encode()))
    flat = [{**row, "setting": _cell(row["setting"]), "point": _cell(row["point"])} for row in rows]
    table = pa.Table.from_pylist(flat, schema=_SCHEMA)
    write_whole(folder / "kpis.parquet", lambda stream: pq.write_table(table, stream))


_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("run", "test", "setting", "point", "kpi", "statistic")),
        ("value", pa.float64()),
        ("unit", pa.string()),
        ("ci_low", pa.float64()),
        ("ci_high", pa.float64()),
        ("n", pa.int64()),
        ("observation_point", pa.string()),
        ("lab", pa.string()),
        ("method", pa.string()),
    ]
)


def _row(value: Value) -> dict[str, Any]:
    row = asdict(value)
    row["observation_point"] = str(value.observation_point)
    row["lab"] = str(value.lab)
    return row


def _cell(value: object) -> str:
    return json.dumps(value, sort_keys=True) if isinstance(value, Mapping) else str(value)
