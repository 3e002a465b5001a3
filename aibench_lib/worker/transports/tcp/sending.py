"""The sending end of a queue pair."""

import socket
from collections import deque
from collections.abc import Callable

from aibench_lib.worker.transports.clock import now_ns
from aibench_lib.worker.transports.rows import DIFFERS, FLUSHED, NEVER, OK, OTHER, TIMEOUT
from aibench_lib.worker.transports.tcp.inflow import Inflow, Scratch
from aibench_lib.worker.transports.tcp.outflow import Outflow, Run
from aibench_lib.worker.transports.tcp.payload import Payload, key_of
from aibench_lib.worker.transports.tcp.posting import ClosedLoop, Posting, Row, Schedule
from aibench_lib.worker.transports.tcp.wire import FRAME, ROW, Kind
from aibench_lib.worker.transports.transport import Options, SendQueue, TransportError

Sample = Callable[[int, int, int, int, int, int, int, int, int], None]
""":meth:`aibench_lib.worker.transports.rows.Rows.sample`."""

_END = FRAME.pack(Kind.END, 0, 0, 0, 0)


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
        self._outflow = Outflow(connection, payload, key)
        self._inflow = Inflow(connection, payload if self._verify and self._pulls else None, key, scratch)
        self._posting: Posting = Schedule((), 0)
        self._sample: Sample
        self._ending = False
        self.connection = connection
        self.finished = False
        self.held_up = False
        """Whether the kernel must take more before anything else is sent."""

    @property
    def due_ns(self) -> int | None:
        """When :meth:`due` must be called."""
        return self._posting.due_ns

    def begin(self, t0_ns: int, sample: Sample) -> None:
        """Set T0, and what takes the rows."""
        queue = self._queue
        self._sample = sample
        self._posting = ClosedLoop(queue.loop, t0_ns) if queue.loop else Schedule(queue.messages, t0_ns)

    def due(self) -> None:
        """Post what is due."""
        self._post()
        self._end_when_done()

    def writable(self) -> None:
        """Send on."""
        self.held_up = not self._outflow.flush()

    def readable(self) -> None:
        """Take answers, post what they make room for, and write their rows."""
        frames = self._inflow.receive()
        stamp_ns = self._inflow.stamp_ns
        rows, verdicts = [], []
        for kind, _, sequence, value in frames:
            if kind in (Kind.ARRIVED, Kind.MESSAGE):
                row = self._answered(sequence)
                row.completed_ns = stamp_ns
                if not self._pulls:
                    row.received_ns = value
                rows.append(row)
            elif kind == Kind.VERDICT:
                verdicts.append((sequence, value))
            elif kind == Kind.END:
                self.finished = True
            else:
                raise TransportError(f"{self._name}: a frame of kind {kind} came, which no receiving end sends")
        if rows:
            self._post()
        if not self._verify:
            for row in rows:
                self._write(row, OK)
        else:
            self._unjudged.extend(rows)
            for _, differing in verdicts or self._inflow.judge():
                self._write(self._unjudged.popleft(), DIFFERS if differing else OK)
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

    def _post(self) -> None:
        runs = self._posting.take(now_ns())
        if not runs:
            return
        for run in runs:
            self._outflow.add(run if run.messages and not self._pulls else _frames(run))
        if not self.held_up:
            self.held_up = not self._outflow.flush()

    def _answered(self, sequence: int) -> Row:
        if not self._posting.rows or self._posting.rows[0].last != sequence:
            raise TransportError(f"{self._name}: message {sequence} was answered, which was not the next to be")
        return self._posting.answered()

    def _end_when_done(self) -> None:
        if self._ending or self._posting.due_ns is not None or self._posting.rows or self._unjudged:
            return
        self._ending = True
        self._outflow.add(_END)
        self.held_up = not self._outflow.flush()

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


def _frames(run: Run) -> bytes:
    """Return the requests of a run, or the mark that a run of no messages is."""
    if not run.messages:
        return FRAME.pack(Kind.MARK, 0, 0, run.sequence, 0)
    last = run.sequence + run.messages - 1 if run.ends_row else NEVER
    return b"".join(
        FRAME.pack(Kind.REQUEST, ROW if sequence == last else 0, 0, sequence, run.size_bytes)
        for sequence in range(run.sequence, run.sequence + run.messages)
    )
