"""What the simulator's counters were at which time: the past that telemetry is cut from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from aibench_lib.model import Port
from aibench_lib.virtual_lab.observed import PRIORITIES, Entry, Subject

Integers = npt.NDArray[np.int64]

CUMULATIVE = (
    "tx_packets",
    "tx_bytes",
    "rx_packets",
    "rx_bytes",
    "ecn_marked_packets",
    "dropped_packets",
    "dropped_bytes",
)
"""Columns that only grow, over all trials."""
_MOMENTARY = ("depth_bytes", "peak_depth_bytes")
SERIES_COLUMNS = ("tx_packets", "tx_bytes", "ecn_marked_packets", "dropped_packets", "depth_bytes", "peak_depth_bytes")
"""Columns that the simulator's series has; others are known at a snapshot only."""


@dataclass(frozen=True)
class Snapshot:
    """All counters at one time; cumulative ones since the lab came up."""

    time_ns: int
    columns: Mapping[str, Integers]
    """Column -> one value a (port, priority)."""
    buffers: Mapping[str, tuple[int, int]]
    """Switch -> bytes of its buffer in use, and its size."""


@dataclass(frozen=True)
class Track:
    """The values of one entry's columns at some times."""

    times_ns: Integers
    columns: Mapping[str, Integers]


def _keys(counters: npt.NDArray[Any]) -> list[tuple[str, str, int]]:
    columns = (counters[name].tolist() for name in ("node", "interface", "priority"))
    return list(zip(*columns, strict=True))


def nothing(time_ns: int, counters: npt.NDArray[Any], buffers: npt.NDArray[Any]) -> Snapshot:
    """Return the snapshot of a fabric through which nothing has ever passed."""
    zeros = np.zeros(len(counters), np.int64)
    sizes = zip(buffers["node"].tolist(), buffers["size_bytes"].tolist(), strict=True)
    return Snapshot(
        time_ns, dict.fromkeys((*CUMULATIVE, *_MOMENTARY), zeros), {node: (0, size) for node, size in sizes}
    )


class Rows:
    """Where a port's counters are in the simulator's tables."""

    def __init__(self, counters: npt.NDArray[Any]) -> None:
        self._rows = {key: row for row, key in enumerate(_keys(counters))}

    def places(self, counters: npt.NDArray[Any]) -> Integers:
        """Return the rows here of the rows of another table of counters."""
        return np.array([self._rows[key] for key in _keys(counters)], np.int64)

    def queue(self, node: str, interface: str, priority: int) -> list[int]:
        """Return the row of one queue, none if there is no such port."""
        row = self._rows.get((node, interface, priority))
        return [] if row is None else [row]

    def port(self, node: str, interface: str) -> list[int]:
        """Return the rows of all queues of a port."""
        return [row for priority in PRIORITIES for row in self.queue(node, interface, priority)]


def snapshot(
    time_ns: int, counters: npt.NDArray[Any], places: Integers, buffers: npt.NDArray[Any], before: Snapshot
) -> Snapshot:
    """Return a snapshot of a simulation, added to what the counters were before it began.

    Args:
        time_ns: The snapshot's time.
        counters: The simulation's, which lack the ports of links that are down.
        places: The rows of all counters that they belong to.
        buffers: The simulation's.
        before: The counters when it began.
    """
    columns = {}
    for name in (*CUMULATIVE, *_MOMENTARY):
        total = before.columns[name].copy() if name in CUMULATIVE else np.zeros_like(before.columns[name])
        total[places] += counters[name]
        columns[name] = total
    pools = zip(buffers["node"].tolist(), buffers["used_bytes"].tolist(), buffers["size_bytes"].tolist(), strict=True)
    return Snapshot(time_ns, columns, {node: (used, size) for node, used, size in pools})


def at_rest(time_ns: int, last: Snapshot) -> Snapshot:
    """Return a snapshot after the last packet has left: queues and buffers are empty, counters and peaks stay."""
    columns = {**last.columns, "depth_bytes": np.zeros_like(last.columns["depth_bytes"])}
    return Snapshot(time_ns, columns, {node: (0, size) for node, (_, size) in last.buffers.items()})


def values(entry: Entry, rows: Rows, snapshots: Sequence[Snapshot]) -> Track:
    """Return the values of an entry's leaves at the times of snapshots.

    A leaf that does not change (``zero``) has no rows, and its sum is 0.
    """
    container = entry.container
    times = np.array([snap.time_ns for snap in snapshots], np.int64)
    if container.subject is Subject.BUFFER:
        pools = np.array([snap.buffers[entry.node] for snap in snapshots], np.int64).reshape(-1, 2)
        known = {"used_bytes": pools[:, 0], "free_bytes": pools[:, 1] - pools[:, 0]}
        zeros = np.zeros(len(times), np.int64)
        return Track(times, {leaf: known.get(container.leaves[leaf], zeros) for leaf in entry.leaves})
    if container.subject is Subject.QUEUE:
        found = rows.queue(entry.node, entry.interface, entry.priority)
    else:
        found = rows.port(entry.node, entry.interface)
    columns = {}
    for leaf in entry.leaves:
        name = container.leaves[leaf]
        per_snapshot = [0 if name == "zero" else snap.columns[name][found].sum() for snap in snapshots]
        columns[leaf] = np.array(per_snapshot, np.int64)
    return Track(times, columns)


@dataclass
class History:
    """One trial as the counters saw it."""

    rows: Rows
    before: Snapshot
    """Counters when the trial began."""
    steps: list[Snapshot] = field(default_factory=list)
    """At multiples of the shortest interval that all counters are wanted at."""
    after: Snapshot | None = None
    """When the trial had ended."""
    series: dict[tuple[Port, int], dict[str, Integers]] = field(default_factory=dict)
    """(Port, priority) -> ``time_ns`` and :data:`SERIES_COLUMNS`, cumulative ones since the lab came up."""

    def track(self, entry: Entry, interval_ns: int) -> Track:
        """Return an entry's values at the multiples of an interval, as long as the trial lasted."""
        fine = self.series.get((Port(entry.node, entry.interface), entry.priority))
        if entry.container.subject is Subject.QUEUE and fine is not None:
            kept = fine["time_ns"] % interval_ns == 0
            names = {leaf: entry.container.leaves[leaf] for leaf in entry.leaves}
            columns = {leaf: fine[name][kept] for leaf, name in names.items() if name in fine}
            return Track(fine["time_ns"][kept], columns)
        return values(entry, self.rows, [snap for snap in self.steps if snap.time_ns % interval_ns == 0])
