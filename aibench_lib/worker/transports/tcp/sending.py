"""The sending end of a queue pair."""

import socket
from collections import deque
from collections.abc import Callable

from aibench_lib.worker.transports.clock import now_ns
from aibench_lib.worker.transports.rows import DIFFERS, FLUSHED, OK, OTHER, TIMEOUT
from aibench_lib.worker.transports.tcp.inflow import Inflow, Scratch
from aibench_lib.worker.transports.tcp.outflow import Outflow
from aibench_lib.worker.transports.tcp.payload import Payload, key_of
from aibench_lib.worker.transports.tcp.posting import ClosedLoop, Posting, Row, Schedule
from aibench_lib.worker.transports.tcp.wire import ARRIVED, END, FRAME, MARK, MESSAGE, REQUEST, VERDICT
from aibench_lib.worker.transports.transport import Options, SendQueue, TransportError

Sample = Callable[[int, int, int, int, int, int, int, int, int], None]
""":meth:`aibench_lib.worker.transports.rows.Rows.sample`."""

_ANSWERS = (ARRIVED, MESSAGE)
_END = FRAME.pack(END, 0, 0, 0, 0)


class SendingEnd:
    """Posts messages (or, of a ``read``, requests for them), and writes a row for each answer.

    Args:
        place: The queue pair's in the list of those that send.
        queue: What it sends.
        options: Of the host.
        payload: Of the trial.
        connection: To the receiving end, proven; it does not block.
        scratch: Of the thread that drives this end.
    """

    def __init__(
        self,
        place: int,
        queue: SendQueue,
        options: Options,
        payload: Payload,
        connection: socket.socket,
        scratch: Scratch,
    ) -> None:
        key = key_of(options.host, queue.qp)
        self._place = place
        self._queue = queue
        self._pulls = queue.operation == "read"
        self._verify = options.verify
        self._unjudged: deque[Row] = deque()
        self._outflow = Outflow(connection, payload, key if self._verify else None)
        self._post = self._request if self._pulls else self._outflow.post
        self._inflow = Inflow(connection, payload if self._verify and self._pulls else None, key, scratch)
        self._posting: Posting = Schedule((), 0)
        self._sample: Sample
        self._ending = False
        self.connection = connection
        self.finished = False
        self.due_ns: int | None = None
        """When :meth:`due` must be called."""
        self.held_up = False
        """Whether the kernel must take more before anything else is sent."""

    def begin(self, t0_ns: int, sample: Sample) -> None:
        """Set T0, and what takes the rows."""
        queue = self._queue
        self._sample = sample
        self._posting = ClosedLoop(queue.loop, t0_ns) if queue.loop else Schedule(queue.messages, t0_ns)
        self.due_ns = self._posting.due_ns

    def due(self) -> None:
        """Post what is due."""
        self._go_on()
        self._end_when_done()

    def writable(self) -> None:
        """Send on."""
        self._outflow.flush()
        self.held_up = not self._outflow.empty

    def readable(self) -> None:
        """Take answers, post what they make room for, and write their rows."""
        frames = self._inflow.receive()
        rows, verdicts = [], []
        for kind, _, _, sequence, value in frames:
            if kind in _ANSWERS:
                rows.append(self._answered(sequence, value))
            elif kind == VERDICT:
                verdicts.append((sequence, value))
            elif kind == END:
                self.finished = True
            else:
                raise TransportError(f"{self._name}: a frame of kind {kind} came, which no receiving end sends")
        if rows:
            self._go_on()
        if self._verify:
            self._unjudged.extend(rows)
            for _, differing in verdicts or self._inflow.judge():
                self._write(self._unjudged.popleft(), DIFFERS if differing else OK)
        else:
            for row in rows:
                self._write(row, OK)
        if self.due_ns is None:
            self._end_when_done()

    def broken(self) -> None:
        """Write what is open as failed: the connection is gone."""
        self._write_open(OTHER, FLUSHED)

    def expire(self) -> None:
        """Write what is open as too late: the deadline has passed."""
        self._write_open(TIMEOUT, TIMEOUT)

    @property
    def _name(self) -> str:
        return f"{self._queue.peer}/{self._queue.qp}"

    def _go_on(self) -> None:
        """Post what may be posted now."""
        self._posting.post(now_ns(), self._post, self._mark)
        self.due_ns = self._posting.due_ns
        if not self._outflow.empty and not self.held_up:
            self._outflow.flush()
            self.held_up = not self._outflow.empty

    def _request(self, sequence: int, messages: int, size_bytes: int, ends_row: bool) -> None:
        """Ask for messages, as a ``read`` does."""
        end = sequence + messages
        self._outflow.add(
            b"".join(
                FRAME.pack(REQUEST, ends_row and number == end - 1, 0, number, size_bytes)
                for number in range(sequence, end)
            )
        )

    def _mark(self, sequence: int) -> None:
        """Ask for an answer to everything up to a message."""
        self._outflow.add(FRAME.pack(MARK, 0, 0, sequence, 0))

    def _answered(self, sequence: int, received_ns: int) -> Row:
        rows = self._posting.rows
        if not rows or rows[0].last != sequence:
            raise TransportError(f"{self._name}: message {sequence} was answered, which was not the next to be")
        row = self._posting.answered()
        row.completed_ns = self._inflow.stamp_ns
        if not self._pulls:
            row.received_ns = received_ns
        return row

    def _end_when_done(self) -> None:
        if self._ending or self._posting.due_ns is not None or self._posting.rows or self._unjudged:
            return
        self._ending = True
        self._outflow.add(_END)
        self.held_up = not self._outflow.empty

    def _write(self, row: Row, status: int) -> None:
        self._sample(
            self._place,
            row.operations,
            row.size_bytes,
            row.intended_ns,
            row.posted_ns,
            row.completed_ns,
            row.received_ns,
            row.completed_ns,
            status,
        )

    def _write_open(self, posted: int, unposted: int) -> None:
        self.finished = True
        for row in (*self._unjudged, *self._posting.rows):
            self._write(row, posted)
        for row in self._posting.unposted():
            self._write(row, unposted)
