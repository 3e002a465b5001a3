"""A sending queue pair: which messages are due, which are under way, and the rows that come of them."""

from collections import deque
from dataclasses import dataclass
from typing import Any

from aibench_lib.units import BITS_PER_BYTE, NS_PER_SECOND
from aibench_lib.worker.transports.clock import now_ns
from aibench_lib.worker.transports.rows import NEVER, OK, OTHER, TIMEOUT, Rows
from aibench_lib.worker.transports.transport import Loop, SendQueue

_DONE, _UNDER_WAY = "DONE", "PROC"


@dataclass(slots=True)
class _Message:
    size_bytes: int
    intended_ns: int
    posted_ns: int
    row: int
    last: bool
    """Whether a row ends with it."""
    handle: Any


@dataclass(slots=True)
class _Row:
    intended_ns: int
    posted_ns: int
    operations: int
    size_bytes: int
    completed_ns: int


class Outgoing:
    """One queue pair.

    Args:
        place: Among those that send.
        queue: What it sends.
        xfer: Makes a transfer of a size, not yet posted.
        post: Posts a transfer, with the notification that goes with it; returns its state.
        check: Returns the state of a posted transfer.
    """

    def __init__(self, place: int, queue: SendQueue, xfer: Any, post: Any, check: Any) -> None:  # noqa: ANN401 - NIXL's
        self.place, self.queue = place, queue
        self._make, self._post, self._check = xfer, post, check
        self._idle: dict[tuple[int, bool], list[Any]] = {}
        """Size and whether it signals -> transfers to use again; one that has signalled once does so ever after."""
        self._under_way: deque[_Message] = deque()
        self._row = self._count = 0
        self._open = _Row(0, 0, 0, 0, 0)
        self._awaited: dict[int, _Row] = {}
        self._early: dict[int, int] = {}
        """Row -> when its answer came, which was before the row was known to be complete here [ns]."""
        self._due_ns = 0
        self.done = False

    def step(self, t0_ns: int, rows: Rows) -> None:
        """Take what has completed, and post what is due."""
        while self._under_way and self._completed(t0_ns, rows):
            pass
        while not self.done and (due := self._next(t0_ns)) is not None and self._start(t0_ns, *due, rows):
            pass
        if not self.done and self._nothing_left(t0_ns) and not self._under_way:
            self._close_row(rows)
            self.done = not self._awaited

    def _next(self, t0_ns: int) -> tuple[int, int, bool] | None:
        """Return size, intended time and whether a row ends with it, of the message that is due; None: none is."""
        now, loop = now_ns(), self.queue.loop
        if loop is None:
            if self._count == len(self.queue.messages):
                return None
            message = self.queue.messages[self._count]
            due_ns = t0_ns + message.offset_ns
            return (message.size_bytes, due_ns, True) if due_ns <= now else None
        begin_ns = t0_ns + loop.offset_ns
        if not begin_ns <= now < begin_ns + loop.duration_ns or len(self._under_way) >= loop.depth:
            return None
        if loop.echo and len(self._awaited) * loop.batch >= loop.depth:
            return None
        due_ns = max(self._due_ns, begin_ns) if loop.rate_bps else now
        if due_ns > now:
            return None
        if loop.rate_bps:
            self._due_ns = due_ns + loop.size_bytes * BITS_PER_BYTE * NS_PER_SECOND // loop.rate_bps
        return loop.size_bytes, due_ns, (self._count + 1) % loop.batch == 0

    def _start(self, t0_ns: int, size_bytes: int, intended_ns: int, last: bool, rows: Rows) -> bool:
        idle = self._idle.setdefault((size_bytes, last), [])
        handle = idle.pop() if idle else self._make(self.queue, size_bytes)
        message = _Message(size_bytes, intended_ns, now_ns(), self._row, last, handle)
        if self.queue.operation == "write_with_imm" and last:
            state = self._post(handle, self._signal(self._row, size_bytes * self._batch).encode())
        else:
            state = self._post(handle, b"")
        self._count += 1
        self._row += last
        self._under_way.append(message)
        if state not in (_DONE, _UNDER_WAY):
            self._fail(t0_ns, rows, OTHER)
            return False
        return True

    @property
    def _batch(self) -> int:
        return self.queue.loop.batch if self.queue.loop else 1

    def _signal(self, row: int, size_bytes: int) -> str:
        echo = self.queue.loop is not None and self.queue.loop.echo
        return f"signal {self.queue.qp} {row} {size_bytes} {int(echo)}"

    def _completed(self, t0_ns: int, rows: Rows) -> bool:
        message = self._under_way[0]
        state = self._check(message.handle)
        if state == _UNDER_WAY:
            return False
        if state != _DONE:
            self._fail(t0_ns, rows, OTHER)
            return False
        self._under_way.popleft()
        self._idle[message.size_bytes, message.last].append(message.handle)
        self._add(message, now_ns(), rows)
        return True

    def _add(self, message: _Message, completed_ns: int, rows: Rows) -> None:
        row = self._open
        if not row.operations:
            row = self._open = _Row(message.intended_ns, message.posted_ns, 0, 0, 0)
        row.operations += 1
        row.size_bytes += message.size_bytes
        row.completed_ns = completed_ns
        if message.last:
            self._open = _Row(0, 0, 0, 0, 0)
            if message.row in self._early:
                self._write(rows, row, self._early.pop(message.row))
            elif self.queue.loop is not None and self.queue.loop.echo:
                self._awaited[message.row] = row
            else:
                self._write(rows, row)

    def echoed(self, number: int, when_ns: int, rows: Rows) -> None:
        """Take the receiving software's answer to a row."""
        row = self._awaited.pop(number, None)
        if row is None:
            self._early[number] = when_ns
        else:
            self._write(rows, row, when_ns)

    @property
    def signals(self) -> int:
        """How many signals it has sent."""
        return self._row if self.queue.operation == "write_with_imm" else 0

    def _write(self, rows: Rows, row: _Row, echoed_ns: int = NEVER, status: int = OK) -> None:
        times = (row.intended_ns, row.posted_ns, row.completed_ns)
        rows.sample(self.place, row.operations, row.size_bytes, *times, echoed_ns=echoed_ns, status=status)

    def _nothing_left(self, t0_ns: int) -> bool:
        loop: Loop | None = self.queue.loop
        if loop is None:
            return self._count == len(self.queue.messages)
        return now_ns() >= t0_ns + loop.offset_ns + loop.duration_ns

    def _close_row(self, rows: Rows) -> None:
        """Write the row that the loop's end has cut short."""
        if self._open.operations:
            self._write(rows, self._open)
            self._open = _Row(0, 0, 0, 0, 0)

    def give_up(self, t0_ns: int, rows: Rows) -> None:
        """Say of what is not complete that its time is up."""
        for row in self._awaited.values():
            self._write(rows, row, status=TIMEOUT)
        self._close_row(rows)
        self._fail(t0_ns, rows, TIMEOUT)

    def _fail(self, t0_ns: int, rows: Rows, status: int) -> None:
        """Write a row for each message that is under way or was still to come, and end."""
        for message in self._under_way:
            times = (message.intended_ns, message.posted_ns, NEVER)
            rows.sample(self.place, 1, message.size_bytes, *times, status=status)
        for unsent in self.queue.messages[self._count :]:
            rows.sample(self.place, 1, unsent.size_bytes, t0_ns + unsent.offset_ns, NEVER, NEVER, status=status)
        self._under_way.clear()
        self.done = True
