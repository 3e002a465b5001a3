"""When a queue pair posts its messages, and the rows that are open until they are answered.

To post is to queue, as with an RDMA send queue: a message is posted at its time though the connection takes none.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from aibench_lib.units import BITS_PER_BYTE, NS_PER_SECOND
from aibench_lib.worker.transports.rows import NEVER
from aibench_lib.worker.transports.transport import Loop, Message

_BURST_NS = 10_000_000
"""A loop with a rate that was held up makes up for so much of the time, and loses the rest: its rate is a limit."""


Post = Callable[[int, int, int, bool], None]
"""Posts messages, as :meth:`aibench_lib.worker.transports.tcp.outflow.Outflow.post` does."""
Mark = Callable[[int], None]
"""Asks for an answer to everything up to a message."""


class Row:
    """A row of samples to be."""

    __slots__ = ("completed_ns", "intended_ns", "last", "operations", "posted_ns", "received_ns", "size_bytes")

    def __init__(self, last: int, operations: int, size_bytes: int, intended_ns: int, posted_ns: int) -> None:
        self.last = last
        self.operations = operations
        self.size_bytes = size_bytes
        self.intended_ns = intended_ns
        self.posted_ns = posted_ns
        self.completed_ns = NEVER
        self.received_ns = NEVER


class Posting(Protocol):
    """What decides what is posted when."""

    rows: deque[Row]
    """Posted and not answered, the oldest first."""
    due_ns: int | None
    """When it has something to do next; None: no more."""

    def post(self, now_ns: int, post: Post, mark: Mark) -> None:
        """Post what is due."""
        ...

    def answered(self) -> Row:
        """Take the oldest row off, since its last message is answered."""
        ...

    def unposted(self) -> Iterator[Row]:
        """Return rows for those messages that were not posted."""
        ...


class Schedule:
    """Messages at their times, whatever has become of those before.

    Args:
        messages: In the order of their offsets.
        t0_ns: What the offsets count from.
    """

    def __init__(self, messages: tuple[Message, ...], t0_ns: int) -> None:
        self.rows: deque[Row] = deque()
        self._messages = messages
        self._t0_ns = t0_ns
        self._next = 0
        self.due_ns: int | None = t0_ns + messages[0].offset_ns if messages else None

    def post(self, now_ns: int, post: Post, mark: Mark) -> None:
        """Post the messages whose time has come."""
        while self.due_ns is not None and self.due_ns <= now_ns:
            number = self._next
            size = self._messages[number].size_bytes
            self.rows.append(Row(number, 1, size, self.due_ns, now_ns))
            self._next = number + 1
            self.due_ns = None
            if self._next < len(self._messages):
                self.due_ns = self._t0_ns + self._messages[self._next].offset_ns
            post(number, 1, size, True)

    def answered(self) -> Row:
        """Take the oldest row off."""
        return self.rows.popleft()

    def unposted(self) -> Iterator[Row]:
        """Return a row for each message whose time had not come."""
        for number in range(self._next, len(self._messages)):
            message = self._messages[number]
            yield Row(number, 1, message.size_bytes, self._t0_ns + message.offset_ns, NEVER)


class ClosedLoop:
    """Message after message, so many outstanding, for a time.

    Args:
        loop: Its limits.
        t0_ns: What its offset counts from.
    """

    def __init__(self, loop: Loop, t0_ns: int) -> None:
        self.rows: deque[Row] = deque()
        self._size = loop.size_bytes
        self._batch = loop.batch
        self._credits = loop.depth
        self._begin_ns = t0_ns + loop.offset_ns
        self._end_ns = self._begin_ns + loop.duration_ns
        self._rate_bps = loop.rate_bps
        self._simple = loop.batch == 1 and not loop.rate_bps
        self._next = 0
        self._open: Row | None = None
        self._paced_from_ns = self._begin_ns
        self._paced = 0
        self.due_ns: int | None = self._begin_ns

    def post(self, now_ns: int, post: Post, mark: Mark) -> None:
        """Post as many messages as may be outstanding and as the rate allows."""
        if self.due_ns is None or now_ns < self._begin_ns:
            return
        if now_ns > self._end_ns:
            self._finish(mark)
            return
        if self._simple:
            self._post_singly(now_ns, post)
            return
        allowed = self._allowed(now_ns) if self._rate_bps else self._credits
        while allowed > 0 and self._credits > 0:
            row = self._open
            if row is None:
                intended_ns = self._pace_ns(self._paced) if self._rate_bps else now_ns
                row = self._open = Row(-1, 0, 0, intended_ns, now_ns)
                self.rows.append(row)
            count = min(allowed, self._credits, self._batch - row.operations)
            allowed -= count
            self._extend(row, count, post)
        self.due_ns = self._end_ns + 1
        if self._rate_bps and self._credits > 0:
            self.due_ns = min(self.due_ns, self._pace_ns(self._paced))

    def _post_singly(self, now_ns: int, post: Post) -> None:
        """Do the same where each message is a row and there is no rate: this is what latency is measured with."""
        self.due_ns = self._end_ns + 1
        for number in range(self._next, self._next + self._credits):
            self.rows.append(Row(number, 1, self._size, now_ns, now_ns))
            post(number, 1, self._size, True)
        self._next += self._credits
        self._credits = 0

    def answered(self) -> Row:
        """Take the oldest row off: as many messages may be posted."""
        row = self.rows.popleft()
        self._credits += row.operations
        return row

    def unposted(self) -> Iterator[Row]:
        """Return nothing: a loop owes no messages."""
        return iter(())

    def _extend(self, row: Row, count: int, post: Post) -> None:
        first = self._next
        self._next += count
        self._credits -= count
        self._paced += count
        row.operations += count
        row.size_bytes += count * self._size
        row.last = self._next - 1
        full = row.operations == self._batch
        if full:
            self._open = None
        post(first, count, self._size, full)

    def _finish(self, mark: Mark) -> None:
        self.due_ns = None
        if self._open is not None:
            self._open = None
            mark(self._next - 1)

    def _pace_ns(self, number: int) -> int:
        """Return when the message with a number may be posted, counted from where the pace begins."""
        return self._paced_from_ns + number * self._size * BITS_PER_BYTE * NS_PER_SECOND // self._rate_bps

    def _allowed(self, now_ns: int) -> int:
        """Return how many messages the rate allows now."""
        late_ns = now_ns - self._pace_ns(self._paced)
        if late_ns < 0:
            return 0
        if late_ns > _BURST_NS:
            self._paced_from_ns, self._paced, late_ns = now_ns - _BURST_NS, 0, _BURST_NS
        return late_ns * self._rate_bps // (self._size * BITS_PER_BYTE * NS_PER_SECOND) + 1
