"""What the simulator's counters were at which time: the past that telemetry is cut from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aibench_lib.model import Port
from aibench_lib.units import PS_PER_NS
from aibench_lib.virtual_lab.observed import PER_PRIORITY, PRIORITIES, Entry, Subject

Integers = npt.NDArray[np.int64]

CUMULATIVE = (
    "tx_packets",
    "tx_bytes",
    "rx_packets",
    "rx_bytes",
    "ecn_marked_packets",
    "dropped_packets",
    "dropped_bytes",
    "pause_rx_frames",
    "pause_tx_frames",
    "paused_ns",
    "pause_transitions",
    "watchdog_trips",
)
"""Columns that only grow, over all trials."""
_MOMENTARY = ("depth_bytes", "peak_depth_bytes")
SERIES_COLUMNS = (
    "tx_packets",
    "tx_bytes",
    "ecn_marked_packets",
    "dropped_packets",
    "pause_rx_frames",
    "pause_tx_frames",
    "paused_ns",
    *_MOMENTARY,
)
"""Columns that the simulator's series has; others are known at a snapshot only."""

Series = Mapping[tuple[Port, int], Mapping[str, Integers]]
"""(Port, priority) -> ``time_ns`` and :data:`SERIES_COLUMNS`, cumulative ones since the lab came up."""


def value_of(table: npt.NDArray[Any], name: str) -> Integers:
    """Return a column of a table of the simulator, durations in ns."""
    found: Integers = table["paused_ps"] // PS_PER_NS if name == "paused_ns" else table[name]
    return found


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
        keys = _keys(counters)
        self._rows = {key: row for row, key in enumerate(keys)}
        self._ports = {port: number for number, port in enumerate(dict.fromkeys(key[:2] for key in keys))}
        self._port_of_row: Integers = np.array([self._ports[key[:2]] for key in keys], np.int64)

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

    def port_number(self, node: str, interface: str) -> int:
        """Return which column of :meth:`by_port` is a port's."""
        return self._ports[node, interface]

    def by_port(self, values: Integers) -> Integers:
        """Return the sums over the queues of each port.

        Args:
            values: One line a time, one column a row of counters.
        """
        sums = np.zeros((len(self._ports), len(values)), np.int64)
        np.add.at(sums, self._port_of_row, values.T)
        return sums.T


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
        total[places] += value_of(counters, name)
        columns[name] = total
    pools = zip(buffers["node"].tolist(), buffers["used_bytes"].tolist(), buffers["size_bytes"].tolist(), strict=True)
    return Snapshot(time_ns, columns, {node: (used, size) for node, used, size in pools})


def at_rest(time_ns: int, last: Snapshot) -> Snapshot:
    """Return a snapshot after the last packet has left: queues and buffers are empty, counters and peaks stay."""
    columns = {**last.columns, "depth_bytes": np.zeros_like(last.columns["depth_bytes"])}
    return Snapshot(time_ns, columns, {node: (0, size) for node, (_, size) in last.buffers.items()})


def _in_units(columns: dict[str, Integers], entry: Entry) -> dict[str, Integers]:
    """Return the columns of an entry's leaves as the switch counts them."""
    for leaf, divisor in entry.container.divisors.items():
        if leaf in columns:
            columns[leaf] = columns[leaf] // divisor
    return columns


class Table:
    """Snapshots in the order of time, as arrays.

    Args:
        snapshots: None or more.
    """

    def __init__(self, snapshots: Sequence[Snapshot]) -> None:
        self.times_ns: Integers = np.array([snap.time_ns for snap in snapshots], np.int64)
        self._columns = {
            name: np.array([snap.columns[name] for snap in snapshots]) for name in (*CUMULATIVE, *_MOMENTARY)
        }
        self._by_port: dict[str, Integers] = {}
        self._buffers = [snap.buffers for snap in snapshots]

    def track(self, entry: Entry, rows: Rows) -> Track:
        """Return the values of an entry's leaves at the times of the snapshots."""
        names = {leaf: entry.container.leaves[leaf] for leaf in entry.leaves}
        known = self._of_buffer(entry) if entry.container.subject is Subject.BUFFER else self._of_rows(entry, rows)
        nothing_ever = np.zeros_like(self.times_ns)
        columns = {leaf: known(name) if name != "zero" else nothing_ever for leaf, name in names.items()}
        return Track(self.times_ns, _in_units(columns, entry))

    def _of_buffer(self, entry: Entry) -> Callable[[str], Integers]:
        pools = np.array([buffers[entry.node] for buffers in self._buffers], np.int64).reshape(-1, 2)
        used, size = pools[:, 0], pools[:, 1]
        return {"used_bytes": used, "free_bytes": size - used}.__getitem__

    def _of_rows(self, entry: Entry, rows: Rows) -> Callable[[str], Integers]:
        if not len(self.times_ns):
            return lambda name: self.times_ns
        if entry.container.subject in PER_PRIORITY:
            (row,) = rows.queue(entry.node, entry.interface, entry.priority)
            return lambda name: self._columns[name][:, row]
        port = rows.port_number(entry.node, entry.interface)
        return lambda name: self._port_sums(name, rows)[:, port]

    def _port_sums(self, name: str, rows: Rows) -> Integers:
        if name not in self._by_port:  # once for all ports, which are many
            self._by_port[name] = rows.by_port(self._columns[name])
        return self._by_port[name]


class History:
    """A part of one trial as the counters saw it.

    Args:
        rows: Where a port's counters are.
        before_ns: When the trial began.
        end_ns: Nothing at or after this time belongs to the part.
        steps: All counters at multiples of every interval that they are wanted at.
        series: What was recorded of single queues.
        after: The counters when the trial had ended; None: there are more parts to come.
    """

    def __init__(
        self,
        rows: Rows,
        before_ns: int,
        end_ns: int,
        steps: Sequence[Snapshot],
        series: Series,
        after: Snapshot | None,
    ) -> None:
        self.rows = rows
        self.before_ns = before_ns
        self.end_ns = end_ns
        self.series = series
        self.after = Table([after]) if after else None
        self._steps = steps
        self._tables: dict[int, Table] = {}

    def stepped(self, entry: Entry, interval_ns: int) -> Track:
        """Return an entry's values at the multiples of an interval."""
        if interval_ns not in self._tables:
            self._tables[interval_ns] = Table([snap for snap in self._steps if snap.time_ns % interval_ns == 0])
        return self._tables[interval_ns].track(entry, self.rows)

    def recorded(self, entry: Entry, interval_ns: int) -> Track:
        """Return a queue's values at the multiples of an interval, as the simulator's kernel has recorded them."""
        series = self.series.get((Port(entry.node, entry.interface), entry.priority))
        if series is None:
            return Track(np.zeros(0, np.int64), {})
        kept = series["time_ns"] % interval_ns == 0
        names = {leaf: entry.container.leaves[leaf] for leaf in entry.leaves}
        columns = {leaf: series[name][kept] for leaf, name in names.items() if name in series}
        return Track(series["time_ns"][kept], _in_units(columns, entry))
