"""One Subscribe call: which entries it wants, and the messages that a trial gives it."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from pygnmi.spec.v080 import gnmi_pb2

from aibench_lib.model import Port
from aibench_lib.virtual_lab.course import Demand, next_multiple
from aibench_lib.virtual_lab.gnmi import values as typed
from aibench_lib.virtual_lab.gnmi.outbox import Outbox
from aibench_lib.virtual_lab.gnmi.paths import Elements, to_proto
from aibench_lib.virtual_lab.history import History, Integers, Rows, Snapshot, Table
from aibench_lib.virtual_lab.observed import PER_PRIORITY, Entry

SHORTEST_INTERVAL_NS = 1_000
"""What an interval must be a multiple of, and what 0 (as often as possible) means."""

_SERIES_BELOW_NS = 500_000
"""Queues that are sampled more often than this are recorded in the simulator's kernel, one by one; everything else is
read from all counters at once, between two steps of the simulation."""

Timed = tuple[int, bytes]


class Encoder:
    """Makes one entry's messages; the message for each set of leaves is built once and then refilled.

    Args:
        entry: What the messages are about.
        encoding: Of the values.
        absolute: Whether each update has its whole path, instead of a prefix that all of a message share.
    """

    def __init__(self, entry: Entry, encoding: int, *, absolute: bool = False) -> None:
        self._entry = entry
        self._encoding = encoding
        self._before: Elements = entry.path if absolute else ()
        self._prefix = None if absolute else to_proto(entry.path)
        self._messages: dict[int, _Message] = {}

    def encode(self, time_ns: int, row: Sequence[int | str], mask: int) -> bytes:
        """Return the serialised message of the leaves in a bit mask."""
        message = self._messages.get(mask)
        if message is None:
            message = self._messages[mask] = self._build(mask)
        message.notification.timestamp = time_ns
        encoding, wide = self._encoding, not self._entry.container.narrow
        for bit, target in message.values:
            typed.write(target, row[bit], encoding, wide=wide)
        return bytes(message.whole.SerializeToString())

    def _build(self, mask: int) -> "_Message":
        bits = [bit for bit in range(len(self._entry.leaves)) if mask >> bit & 1]
        paths = [to_proto((*self._before, (self._entry.leaves[bit], ()))) for bit in bits]
        whole = gnmi_pb2.SubscribeResponse(
            update=gnmi_pb2.Notification(prefix=self._prefix, update=[gnmi_pb2.Update(path=path) for path in paths])
        )
        values = [(bit, update.val) for bit, update in zip(bits, whole.update.update, strict=True)]
        return _Message(whole, whole.update, values)


@dataclass(frozen=True)
class _Message:
    whole: gnmi_pb2.SubscribeResponse
    notification: gnmi_pb2.Notification
    values: list[tuple[int, gnmi_pb2.TypedValue]]
    """A leaf's place in the row, and where its value goes."""


@dataclass
class Sampled:
    """One entry that is sampled, and what was sent of it last."""

    entry: Entry
    encoder: Encoder
    interval_ns: int
    suppress: bool
    heartbeat_ns: int
    row: tuple[int, ...] = ()
    full_ns: int = 0
    """When all leaves were sent last."""

    @property
    def all_leaves(self) -> int:
        """The mask of all leaves."""
        return (1 << len(self.entry.leaves)) - 1

    @property
    def in_kernel(self) -> bool:
        """Whether the simulator's kernel must record this entry."""
        return self.entry.container.subject in PER_PRIORITY and self.interval_ns < _SERIES_BELOW_NS

    def full(self, rows: Rows, table: Table, time_ns: int) -> Timed:
        """Return all leaves as they are in a table's one snapshot, at a time."""
        track = table.track(self.entry, rows)
        self.row = tuple(int(track.columns[leaf][0]) for leaf in self.entry.leaves)
        self.full_ns = time_ns
        return time_ns, self.encoder.encode(time_ns, self.row, self.all_leaves)

    def samples(self, history: History) -> Iterator[Timed]:
        """Yield what the samples of a part of a trial say that is not redundant."""
        of = history.recorded if self.in_kernel else history.stepped
        track = of(self.entry, self.interval_ns)
        times = track.times_ns
        if not len(times):
            return
        columns = [
            track.columns[leaf] if leaf in track.columns else np.full(len(times), old)
            for leaf, old in zip(self.entry.leaves, self.row, strict=True)
        ]
        masks = self._changes(columns)
        fresh = (times > history.before_ns) & (times < history.end_ns)
        for index in np.flatnonzero(fresh & ((masks != 0) | self._heartbeats(times))).tolist():
            time_ns = int(times[index])
            beats = self.heartbeat_ns and time_ns - self.full_ns >= self.heartbeat_ns
            mask = self.all_leaves if beats or not self.suppress else int(masks[index])
            if not mask:
                continue
            if mask == self.all_leaves:
                self.full_ns = time_ns
            self.row = tuple(int(column[index]) for column in columns)
            yield time_ns, self.encoder.encode(time_ns, self.row, mask)

    def _changes(self, columns: list[Integers]) -> Integers:
        masks = np.zeros(len(columns[0]), np.int64)
        for bit, column in enumerate(columns):
            masks[0] |= int(column[0] != self.row[bit]) << bit
            masks[1:] |= (column[1:] != column[:-1]).astype(np.int64) << bit
        return masks

    def _heartbeats(self, times: Integers) -> npt.NDArray[np.bool_]:
        if not self.suppress:
            return np.ones(len(times), bool)
        if not self.heartbeat_ns:
            return np.zeros(len(times), bool)
        beats = times // self.heartbeat_ns
        return beats > np.concatenate(([self.full_ns // self.heartbeat_ns], beats[:-1]))


@dataclass
class Congestion:
    """The congestion records of one switch: one a congested queue and tick, and one of length 0 when it has emptied."""

    entry: Entry
    encoder: Encoder
    interval_ns: int
    interfaces: tuple[str, ...]
    last: tuple[int | str, ...] = ()
    lengths: dict[tuple[Port, int], int] = field(default_factory=dict)
    """Of the queues that were congested at the end of the part before [B]."""

    def full(self, time_ns: int) -> list[Timed]:
        """Return the most recent record again, if there is any."""
        return [self._record(time_ns, self.last)] if self.last else []

    def samples(self, history: History) -> Iterator[Timed]:
        """Yield the records of a part of a trial in the order of time."""
        records = []
        for (port, priority), columns in history.series.items():
            if port.node != self.entry.node:
                continue
            times, depth = columns["time_ns"], columns["depth_bytes"]
            kept = times % self.interval_ns == 0
            times, depth = times[kept], depth[kept]
            if not len(depth):
                continue
            before = self.lengths.pop((port, priority), 0)
            told = (depth > 0) | (np.concatenate(([before], depth[:-1])) > 0)
            for time_ns, length in zip(times[told].tolist(), depth[told].tolist(), strict=True):
                records.append((time_ns, ("POLLING", port.interface, priority, length)))
            if depth[-1] > 0:
                self.lengths[port, priority] = int(depth[-1])
        if history.after is not None:
            records += [(history.end_ns, ("POLLING", port.interface, priority, 0)) for port, priority in self.lengths]
            self.lengths.clear()
        for time_ns, record in sorted(records):
            self.last = record
            yield self._record(time_ns, record)

    def _record(self, time_ns: int, record: tuple[int | str, ...]) -> Timed:
        by_name = dict(zip(("type", "interface-id", "traffic-class", "queue-length"), record, strict=True))
        row = [by_name[leaf] for leaf in self.entry.leaves]
        return time_ns, self.encoder.encode(time_ns, row, (1 << len(row)) - 1)


@dataclass
class OnChange:
    """Whether one interface is up, told when it changes."""

    entry: Entry
    encoder: Encoder
    is_up: Callable[[Port], bool]
    told: bool | None = None

    def changes(self, time_ns: int) -> list[Timed]:
        """Return the state if it is not the one that was told last."""
        up = self.is_up(Port(self.entry.node, self.entry.interface))
        if up == self.told:
            return []
        self.told = up
        return [(time_ns, self.encoder.encode(time_ns, [self.entry.container.states[up]], 1))]


@dataclass
class Subscription:
    """Everything that one Subscribe call wants; ``outbox`` feeds its stream."""

    sampled: list[Sampled] = field(default_factory=list)
    congestion: list[Congestion] = field(default_factory=list)
    on_change: list[OnChange] = field(default_factory=list)
    aggregates: bool = False
    """Whether samples of one time may share a notification (allow_aggregation); their updates have absolute paths."""
    outbox: Outbox = field(default_factory=Outbox)

    def current(self, rows: Rows, snapshot: Snapshot) -> list[bytes]:
        """Return the state of everything now."""
        now_ns, table = snapshot.time_ns, Table([snapshot])
        timed = [entry.full(rows, table, now_ns) for entry in self.sampled]
        for records in self.congestion:
            timed += records.full(now_ns)
        for state in self.on_change:
            timed += state.changes(now_ns)
        return [message for _, message in timed]

    def changes(self, time_ns: int) -> list[bytes]:
        """Return what has changed of the states that are told when they change."""
        return [message for state in self.on_change for _, message in state.changes(time_ns)]

    def of_trial(self, history: History) -> list[bytes]:
        """Return the messages of a part of a trial in the order of time.

        Those of the last part end with one of each entry at or after the trial's end.
        """
        samples: list[Timed] = []
        records: list[Timed] = []
        end_ns = history.end_ns
        for entry in self.sampled:
            samples += entry.samples(history)
            if history.after is not None:
                samples.append(entry.full(history.rows, history.after, next_multiple(end_ns, entry.interval_ns)))
        for congestion in self.congestion:
            records += congestion.samples(history)
            if history.after is not None:
                records += congestion.full(next_multiple(end_ns, congestion.interval_ns))
        timed = _aggregated(samples, records) if self.aggregates else samples + records
        timed.sort(key=lambda pair: pair[0])
        return [message for _, message in timed]


def _aggregated(samples: Sequence[Timed], records: Sequence[Timed]) -> list[Timed]:
    """Return one message a time, but never two congestion records in one: they have the same paths.

    Serialised messages that stand one behind the other are read as one message with the updates of all.
    """
    together: dict[int, list[bytes]] = {}
    for time_ns, message in samples:
        together.setdefault(time_ns, []).append(message)
    alone: list[Timed] = []
    times_of_records = set()
    for time_ns, message in records:
        if time_ns in times_of_records:
            alone.append((time_ns, message))
        else:
            times_of_records.add(time_ns)
            together.setdefault(time_ns, []).append(message)
    return [(time_ns, b"".join(messages)) for time_ns, messages in together.items()] + alone


def demand(subscriptions: Sequence[Subscription], priorities: frozenset[int]) -> Demand:
    """Return what a trial must record for its listeners.

    Args:
        subscriptions: All that are open.
        priorities: The traffic classes that the trial uses; others cannot be congested.
    """
    queues: set[tuple[Port, int]] = set()
    series_ns = step_ns = 0
    settle: set[int] = set()
    for subscription in subscriptions:
        for sampled in subscription.sampled:
            settle.add(sampled.interval_ns)
            if sampled.in_kernel:
                queues.add((Port(sampled.entry.node, sampled.entry.interface), sampled.entry.priority))
                series_ns = math.gcd(series_ns, sampled.interval_ns)
            else:
                step_ns = math.gcd(step_ns, sampled.interval_ns)
        for records in subscription.congestion:
            settle.add(records.interval_ns)
            ports = [Port(records.entry.node, interface) for interface in records.interfaces]
            queues |= {(port, priority) for port in ports for priority in priorities}
            series_ns = math.gcd(series_ns, records.interval_ns)
    return Demand(frozenset(queues), series_ns, step_ns, frozenset(settle))
