"""Read what single trials left behind: the samples of the hosts and the queues the switches reported."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from numpy.typing import NDArray

from aibench_lib.errors import SpecError
from aibench_lib.procedures import PROCEDURES
from aibench_lib.units import NS_PER_US


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One trial as its sample file names it."""

    name: str
    test: str
    setting: Mapping[str, Any]
    point: Mapping[str, Any]
    t0_ns: int
    """When the load started [ns since the epoch, lab time]."""
    t_end_ns: int
    path: Path


@dataclass(frozen=True, kw_only=True)
class QueueDepth:
    """The depth one switch queue reported over a trial."""

    switch: str
    interface: str
    queue: str
    time_us: NDArray[np.float64]
    """After T0 [us], ascending."""
    depth_bytes: NDArray[np.float64]

    def __str__(self) -> str:
        return f"{self.switch} {self.interface} queue {self.queue}"


def read_trials(results: Path, test: str) -> tuple[Trial, ...]:
    """Return the trials of one test in a results directory, in the order of their T0; only the files' footers are read.

    Raises:
        SpecError: A sample file does not say which trial it holds.
    """
    trials = (_trial(path) for path in sorted((results / "samples").glob("*.parquet")))
    return tuple(sorted((trial for trial in trials if trial.test == test), key=lambda trial: trial.t0_ns))


def completion_times_us(test: str, trials: Iterable[Trial], kpi: str = "Fabric_FCT") -> NDArray[np.float64]:
    """Return how long the transfers of ``trials`` took [us], as the test's KPIs count them.

    Transfers cut short are left out.

    Draft: Section 4.3 (Fabric_FCT, from post to completion; KV_xfer_latency).
    """
    (fct,) = (pooled for pooled in PROCEDURES[test].distributions if pooled.kpi == kpi)
    times = []
    for trial in trials:
        table = pq.read_table(trial.path)
        done = table.filter((pc.field("status") == "ok") & pc.field("completed_ns").is_valid())
        times.append(fct.of(done))
    return np.concatenate(times) if times else np.empty(0)


def deepest_queue(results: Path, trial: Trial) -> QueueDepth | None:
    """Return the queue that reported the greatest depth within ``trial``, or None if no queue reported any."""
    files = sorted((results / "telemetry").glob("queue-*.parquet"))
    if not files:
        return None
    within = (pc.field("time_ns") >= trial.t0_ns) & (pc.field("time_ns") <= trial.t_end_ns)
    table = ds.dataset(files).to_table(
        columns=["time_ns", "switch", "interface", "queue", "depth_bytes"],
        filter=within & pc.field("depth_bytes").is_valid(),
    )
    if not table.num_rows:
        return None
    top = table.slice(pc.index(table["depth_bytes"], pc.max(table["depth_bytes"])).as_py(), 1).to_pylist()[0]
    names = {tag: str(top[tag]) for tag in ("switch", "interface", "queue")}
    return _depth_over_time(table, names, trial)


def _depth_over_time(table: pa.Table, names: Mapping[str, str], trial: Trial) -> QueueDepth:
    chosen = np.logical_and.reduce([pc.equal(table[tag], name).to_numpy() for tag, name in names.items()])
    rows = table.filter(pa.array(chosen)).sort_by("time_ns")
    time_us = (rows["time_ns"].to_numpy() - trial.t0_ns) / NS_PER_US
    depth_bytes = rows["depth_bytes"].to_numpy().astype(np.float64)
    return QueueDepth(time_us=time_us, depth_bytes=depth_bytes, **names)


def _trial(path: Path) -> Trial:
    metadata = pq.read_schema(path).metadata or {}
    try:
        return Trial(
            name=metadata[b"trial"].decode(),
            test=metadata[b"test"].decode(),
            setting=json.loads(metadata[b"setting"]),
            point=json.loads(metadata[b"point"]),
            t0_ns=int(metadata[b"t0_ns"]),
            t_end_ns=int(metadata[b"t_end_ns"]),
            path=path,
        )
    except KeyError as error:
        raise SpecError(
            f"{path}: the file's metadata lacks {error.args[0].decode()!r}; it is not of a trial"
        ) from error


def of(trials: Sequence[Trial], **values: object) -> tuple[Trial, ...]:
    """Return the trials whose setting and point together hold ``values``."""
    return tuple(trial for trial in trials if values.items() <= {**trial.setting, **trial.point}.items())
