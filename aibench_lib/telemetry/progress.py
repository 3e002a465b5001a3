"""How far each subscription has come, and what speaks against a window of its data."""

from array import array
from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from aibench_lib.model import Record
from aibench_lib.telemetry.measurements import TAGS
from aibench_lib.telemetry.subscription import Subscription
from aibench_lib.telemetry.windows import gaps

SeriesKey = tuple[str, ...]


@dataclass
class _Outage:
    since_ns: int
    """Time of the last message before the connection was lost."""
    until_ns: int | None
    """Time of the latest message when everything had been sent again; None while the connection is lost."""
    reason: str


@dataclass
class Progress:
    """What is known of one subscription's stream; its owner holds a lock around every call."""

    subscription: Subscription
    messages: int = 0
    _times: "array[int]" = field(default_factory=lambda: array("q"))
    """Times of messages, ascending [ns]."""
    _latest: dict[SeriesKey, int] = field(default_factory=dict)
    _behind: set[SeriesKey] = field(default_factory=set)
    _awaited_ns: int = 0
    _unreadable: list[tuple[int, str]] = field(default_factory=list)

    @property
    def latest_ns(self) -> int:
        """Time of the latest message [ns]; 0 before the first."""
        return self._times[-1] if self._times else 0

    def received(self, time_ns: int, records: list[Record]) -> bool:
        """Note one message; True when it was the last that :meth:`await_until` has waited for."""
        self.messages += 1
        if time_ns > self.latest_ns:
            self._times.append(time_ns)
        elif time_ns < self.latest_ns:  # a device may stamp what it sends at first with the time of its last change
            insort(self._times, time_ns)
        was_behind = bool(self._behind)
        for record in records:
            key = tuple(record.tags.values())
            self._latest[key] = time_ns
            if time_ns >= self._awaited_ns:
                self._behind.discard(key)
        return was_behind and not self._behind

    def deleted(self, tags: Mapping[str, str]) -> None:
        """Forget the series that have these tags: no more samples of them will come."""
        wanted = [(TAGS[self.subscription.measurement].index(tag), value) for tag, value in tags.items()]
        gone = [key for key in self._latest if all(key[place] == value for place, value in wanted)]
        for key in gone:
            del self._latest[key]
            self._behind.discard(key)

    def unreadable(self, time_ns: int, reason: str) -> None:
        """Note a message that could not be read."""
        self._unreadable.append((time_ns or self.latest_ns, reason))

    def await_until(self, end_ns: int) -> None:
        """Wait, from now on, for a sample of every series at or after a time [ns].

        Of a log of events nothing can be expected; but it comes on one stream with the samples of its switch, so that
        what it said before the end is here when they are.
        """
        self._awaited_ns = end_ns
        self._behind = set()
        if self.subscription.is_expected:
            self._behind = {key for key, time_ns in self._latest.items() if time_ns < end_ns}

    @property
    def is_behind(self) -> bool:
        """Whether samples that :meth:`await_until` waits for have not come."""
        return bool(self._behind)

    def complaints(self, begin_ns: int, end_ns: int) -> Iterator[str]:
        """Yield why this subscription's data of a window are not whole."""
        where = f"{self.subscription.host}: {self.subscription.path}"
        for time_ns, reason in self._unreadable:
            if begin_ns <= time_ns <= end_ns:
                yield f"{where}: a message in the window cannot be read: {reason}"
        if self._behind:
            late = ", ".join("/".join(key) for key in sorted(self._behind)[:3])
            yield f"{where}: no sample at or after the end of the window ({len(self._behind)} series late: {late})"
        longest_ns = self.subscription.longest_silence_ns
        if longest_ns is not None:
            for since_ns, until_ns in gaps(np.array(self._times), longest_ns, begin_ns, end_ns):
                silence_ns = until_ns - since_ns
                yield f"{where}: no message for {silence_ns} ns in the window, at most {longest_ns} ns expected"

    def forget_before(self, begin_ns: int) -> None:
        """Drop what no window from a time on needs [ns]."""
        del self._times[: max(bisect_right(self._times, begin_ns) - 1, 0)]
        self._unreadable = [entry for entry in self._unreadable if entry[0] >= begin_ns]


@dataclass
class Line:
    """The subscriptions that share one stream, and how it has held; its owner holds a lock around every call."""

    progresses: list[Progress]
    synced: bool = False
    _outages: list[_Outage] = field(default_factory=list)

    @property
    def subscriptions(self) -> list[Subscription]:
        """What is asked for on the stream, all of one switch in one encoding."""
        return [progress.subscription for progress in self.progresses]

    @property
    def host(self) -> str:
        """The switch's inventory name."""
        return self.progresses[0].subscription.host

    @property
    def outages(self) -> int:
        """How often the connection was lost."""
        return len(self._outages)

    @property
    def is_behind(self) -> bool:
        """Whether the connection is lost, or samples that are waited for have not come."""
        is_lost = bool(self._outages) and self._outages[-1].until_ns is None
        return is_lost or any(progress.is_behind for progress in self.progresses)

    def has_synced(self) -> None:
        """Note that everything has been sent once, or once again after the connection was lost."""
        self.synced = True
        if self._outages and self._outages[-1].until_ns is None:
            self._outages[-1].until_ns = self._latest_ns()

    def lost(self, reason: str) -> None:
        """Note that the connection was lost."""
        if not self._outages or self._outages[-1].until_ns is not None:
            self._outages.append(_Outage(self._latest_ns(), None, reason))

    def complaints(self, begin_ns: int, end_ns: int) -> Iterator[str]:
        """Yield why the data of a window are not whole, for the stream and all of its subscriptions."""
        for outage in self._outages:
            if outage.since_ns < end_ns and (outage.until_ns is None or outage.until_ns > begin_ns):
                yield f"{self.host}: the connection was lost in the window ({outage.reason})"
        for progress in self.progresses:
            yield from progress.complaints(begin_ns, end_ns)

    def _latest_ns(self) -> int:
        return max(progress.latest_ns for progress in self.progresses)


def lines_of(subscriptions: Iterable[Subscription]) -> list[Line]:
    """Return the streams that subscriptions need: one a switch and encoding."""
    lines: dict[tuple[object, ...], Line] = {}
    for asked in subscriptions:
        switch = (
            asked.command,
            asked.host,
            asked.address,
            asked.port,
            asked.tls,
            asked.ca,
            asked.username,
            asked.encoding,
        )
        lines.setdefault(switch, Line([])).progresses.append(Progress(asked))
    return list(lines.values())
