"""Everything a collector has received: records by measurement, progress by subscription, and windows of both."""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from aibench_lib.errors import LabError
from aibench_lib.model import Record
from aibench_lib.telemetry.measurements import COUNTERS
from aibench_lib.telemetry.progress import Line, Progress, lines_of
from aibench_lib.telemetry.store import MeasurementStore
from aibench_lib.telemetry.subscription import Subscription
from aibench_lib.telemetry.windows import first_reset

_SEGMENT_ROWS = 200_000
"""A measurement's rows are written when there are so many, if no window has been asked for before."""


@dataclass(frozen=True)
class Window:
    """The telemetry of one trial."""

    tables: Mapping[str, pa.Table]
    """Measurement -> rows of each series, from the last sample at or before begin to the first at or after end."""
    reasons: tuple[str, ...]
    """Why the window is not valid; empty if it is."""


class Ledger:
    """Where the subscriptions' threads put what they receive, and windows are read from.

    Args:
        subscriptions: Every subscription there will be.
        folder: Where segments are written.
        on_written: Is given each measurement's rows after they were written.
    """

    def __init__(
        self,
        subscriptions: Iterable[Subscription],
        folder: Path,
        on_written: Callable[[str, pa.Table], None] = lambda _measurement, _rows: None,
    ) -> None:
        self._changed = threading.Condition()
        self._on_written = on_written
        self._failure: LabError | None = None
        self._forgotten_ns = 0
        self._write_at_rows = _SEGMENT_ROWS
        self.lines = lines_of(subscriptions)
        self._progresses = [progress for line in self.lines for progress in line.progresses]
        groups: dict[str, list[Collection[str]]] = {}
        for progress in self._progresses:
            asked = progress.subscription
            expected = [asked.leaves.values()] if asked.is_expected else []
            groups.setdefault(asked.measurement, []).extend(expected)
        self._stores = {name: MeasurementStore(name, folder, groups[name]) for name in sorted(groups)}

    def received(
        self, progress: Progress, time_ns: int, records: list[Record], deleted: list[Mapping[str, str]]
    ) -> None:
        """Take one message of a subscription."""
        with self._changed:
            for record in records:
                self._stores[record.measurement].append(record)
            for tags in deleted:
                progress.deleted(tags)
            if progress.received(time_ns, records):
                self._changed.notify_all()
            if self._stores[progress.subscription.measurement].pending_rows >= self._write_at_rows:
                self._write_unasked()

    def unreadable(self, progress: Progress, time_ns: int, reason: str) -> None:
        """Take note that a message of a subscription cannot be read."""
        with self._changed:
            progress.unreadable(time_ns, reason)

    def synced(self, line: Line) -> None:
        """Take note that a stream has sent everything of its subscriptions once."""
        with self._changed:
            line.has_synced()
            self._changed.notify_all()

    def lost(self, line: Line, reason: str) -> None:
        """Take note that a stream has ended; if that is before its first sync, the start has failed."""
        with self._changed:
            line.lost(reason)
            if not line.synced and self._failure is None:
                self._failure = LabError(line.host, reason)
            self._changed.notify_all()

    def wait_for_sync(self, timeout_seconds: float) -> None:
        """Return when every subscription has sent everything once.

        Raises:
            LabError: A stream ended before, or the time is over; names switch and path.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._failure or not self._late(), timeout_seconds)
            if self._failure is not None:
                raise self._failure
            late = self._late()
        if late:
            paths = ", ".join(subscription.path for subscription in late[0].subscriptions)
            raise LabError(late[0].host, f"did not send everything of {paths} within {timeout_seconds:g} s")

    def window(self, begin_ns: int, end_ns: int, timeout_seconds: float) -> Window:
        """Wait until the window is whole, write everything received, and return the window's rows.

        Args:
            begin_ns: Begin of the window, not before that of the last one [ns].
            end_ns: End of the window [ns].
            timeout_seconds: How long to wait for lost connections and for samples at or after its end [s of wall time].

        Raises:
            LabError: A segment cannot be written (nothing is lost: ask again), or the window begins before the last
                one, whose earlier rows are only on disk.
        """
        with self._changed:
            if begin_ns < self._forgotten_ns:
                raise LabError(
                    "controller", f"telemetry before {self._forgotten_ns} ns is only in the segments on disk"
                )
            for progress in self._progresses:
                progress.await_until(end_ns)
            self._changed.wait_for(lambda: not any(line.is_behind for line in self.lines), timeout_seconds)
            self._write()
            tables = {name: store.window(begin_ns, end_ns) for name, store in self._stores.items()}
            reasons = [reason for line in self.lines for reason in line.complaints(begin_ns, end_ns)]
            for progress in self._progresses:
                progress.forget_before(begin_ns)
            self._forgotten_ns = begin_ns
        return Window(tables, (*reasons, *_reset_complaints(tables)))

    def write(self) -> None:
        """Write everything received.

        Raises:
            LabError: A segment cannot be written; ask again.
        """
        with self._changed:
            self._write()

    def messages(self) -> int:
        """Return how many messages have come."""
        with self._changed:
            return sum(progress.messages for progress in self._progresses)

    def outages(self) -> int:
        """Return how often a connection was lost."""
        with self._changed:
            return sum(line.outages for line in self.lines)

    def rows(self) -> dict[str, int]:
        """Return how many rows each measurement has got."""
        with self._changed:
            return {name: store.rows for name, store in self._stores.items()}

    def _write(self) -> None:
        for name, store in self._stores.items():
            self._on_written(name, store.write())

    def _write_unasked(self) -> None:
        try:
            self._write()
            self._write_at_rows = _SEGMENT_ROWS
        except LabError:  # the rows are kept, and whoever asks for a window next is told
            self._write_at_rows += _SEGMENT_ROWS

    def _late(self) -> list[Line]:
        return [line for line in self.lines if not line.synced]


def _reset_complaints(tables: Mapping[str, pa.Table]) -> list[str]:
    complaints = []
    for name, table in tables.items():
        row = first_reset(table, name, COUNTERS[name])
        if row is not None:
            where = "/".join(str(value) for key, value in row.items() if key not in ("time_ns", "field"))
            complaints.append(f"{where}: counter {row['field']} went backwards in the window, at {row['time_ns']} ns")
    return complaints
