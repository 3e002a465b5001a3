"""The outgoing half of a connection: what is posted waits here until the kernel takes it."""

import socket
from collections import deque
from typing import NamedTuple

from aibench_lib.worker.transports.tcp.payload import Parts, Payload
from aibench_lib.worker.transports.tcp.wire import FRAME, MESSAGE

_CALL_BYTES = 1 << 21
"""Given to the kernel in one call at most: what it cannot take must be cut off again."""
_CALL_PARTS = 500
"""Likewise; the kernel takes 1024."""
_JOINED_BYTES = 1 << 12
"""Smaller messages are copied together, since a list of many small pieces is slower than the copy."""
_BLOCK_BYTES = 1 << 16
"""Of small messages copied together, at most."""


class Run(NamedTuple):
    """Messages of one size with numbers in a row."""

    sequence: int
    messages: int
    size_bytes: int
    ends_row: bool
    """Whether the last one ends a row."""


class Outflow:
    """Frames and messages on their way into a socket, made only as the socket takes them.

    Args:
        connection: It does not block.
        payload: Of the trial.
        key: Of the queue pair, for the payload; None: nobody compares it.
    """

    def __init__(self, connection: socket.socket, payload: Payload, key: int | None) -> None:
        self._connection = connection
        self._payload = payload
        self._key = key
        self._waiting: deque[Run | bytes] = deque()
        self._parts: Parts = []
        self._parts_bytes = 0
        self._place = 0
        self._left_bytes = 0
        self.empty = True
        """Whether the kernel has everything."""

    def post(self, sequence: int, messages: int, size_bytes: int, ends_row: bool) -> None:
        """Queue messages of one size with numbers in a row; one alone is given to the kernel at once.

        Args:
            sequence: Of the first.
            messages: How many.
            size_bytes: Of each.
            ends_row: Whether the last one ends a row.

        Raises:
            OSError: The connection is broken.
        """
        if messages > 1 or size_bytes > _CALL_BYTES or not self.empty:
            self._waiting.append(Run(sequence, messages, size_bytes, ends_row))
            self.empty = False
            return
        header = FRAME.pack(MESSAGE, ends_row, 0, sequence, size_bytes)
        body = self._payload.body(self._key, sequence, size_bytes)
        if len(body) == 1 and size_bytes < _JOINED_BYTES:
            self.add(header + body[0])
            return
        self._parts += (header, *body)
        self._parts_bytes = FRAME.size + size_bytes
        self._send()

    def add(self, frames: bytes) -> None:
        """Queue whole frames; they are given to the kernel at once if nothing is before them.

        Raises:
            OSError: The connection is broken.
        """
        if not self.empty:
            self._waiting.append(frames)
            return
        try:
            sent = self._connection.send(frames)  # a microsecond less than a list of pieces takes
        except BlockingIOError:
            sent = 0
        if sent < len(frames):
            self._waiting.append(frames[sent:])
            self.empty = False

    def flush(self) -> None:
        """Give the kernel what it takes, but no more than one call: other queue pairs wait for their turn.

        Raises:
            OSError: The connection is broken.
        """
        if not self._parts:
            self._gather()
        self._send()

    def _send(self) -> None:
        """Give the kernel the pieces, and keep what it does not take."""
        parts = self._parts
        try:
            sent = self._connection.sendmsg(parts)
        except BlockingIOError:
            sent = 0
        if sent < self._parts_bytes:
            self._cut(sent)
            self.empty = False
            return
        parts.clear()
        self.empty = not self._waiting and not self._left_bytes

    def _gather(self) -> None:
        """Make pieces of what waits, for one call."""
        parts, waiting = self._parts, self._waiting
        total = 0
        while total < _CALL_BYTES and len(parts) < _CALL_PARTS:
            if self._left_bytes:
                take = min(self._left_bytes, _CALL_BYTES)
                parts += self._payload.slices(self._place, take)
                self._left_bytes -= take
                self._place += take
                total += take
                continue
            if not waiting:
                break
            what = waiting.popleft()
            if isinstance(what, bytes):
                parts.append(what)
                total += len(what)
            else:
                total += self._begin(what)
        self._parts_bytes = total

    def _begin(self, run: Run) -> int:
        """Take the first message of a run, or many small ones; return the bytes of the pieces added."""
        sequence, messages, size, ends_row = run
        taken = 1
        if size < _JOINED_BYTES and messages > 1:
            taken = min(messages, _BLOCK_BYTES // (size + FRAME.size))
        if taken < messages:
            self._waiting.appendleft(Run(sequence + taken, messages - taken, size, ends_row))
        flagged = sequence + messages - 1 if ends_row else -1
        if size < _JOINED_BYTES:
            self._parts.append(self._block(sequence, taken, size, flagged))
            return taken * (FRAME.size + size)
        self._parts.append(FRAME.pack(MESSAGE, sequence == flagged, 0, sequence, size))
        if size <= _CALL_BYTES:
            self._parts += self._payload.body(self._key, sequence, size)
            return FRAME.size + size
        self._place = self._payload.begin(self._key, sequence)
        self._left_bytes = size
        return FRAME.size

    def _block(self, first: int, messages: int, size: int, flagged: int) -> bytes:
        pack, body, key = FRAME.pack, self._payload.body, self._key
        pieces: Parts = []
        for sequence in range(first, first + messages):
            pieces.append(pack(MESSAGE, sequence == flagged, 0, sequence, size))
            pieces += body(key, sequence, size)
        return b"".join(pieces)

    def _cut(self, sent: int) -> None:
        """Drop from the pieces what the kernel has taken."""
        parts = self._parts
        self._parts_bytes -= sent
        done = 0
        while sent >= len(parts[done]):
            sent -= len(parts[done])
            done += 1
        del parts[:done]
        if sent:
            parts[0] = memoryview(parts[0])[sent:]
