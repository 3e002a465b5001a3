"""The outgoing half of a connection: what is posted waits here until the kernel takes it."""

import socket
from collections import deque
from typing import NamedTuple

from aibench_lib.worker.transports.tcp.payload import Parts, Payload
from aibench_lib.worker.transports.tcp.wire import FRAME, ROW, Kind

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
        key: Of the queue pair, for the payload.
    """

    def __init__(self, connection: socket.socket, payload: Payload, key: int) -> None:
        self._connection = connection
        self._payload = payload
        self._key = key
        self._waiting: deque[Run | bytes] = deque()
        self._parts: Parts = []
        self._parts_bytes = 0
        self._place = 0
        self._left_bytes = 0

    def add(self, what: Run | bytes) -> None:
        """Queue messages, or whole frames."""
        self._waiting.append(what)

    def flush(self) -> bool:
        """Give the kernel what it takes; return whether nothing is left.

        Raises:
            OSError: The connection is broken.
        """
        parts = self._parts
        while parts or self._waiting or self._left_bytes:
            if not parts:
                self._gather()
            try:
                sent = self._connection.send(parts[0]) if len(parts) == 1 else self._connection.sendmsg(parts)
            except BlockingIOError:
                return False
            if sent < self._parts_bytes:
                self._cut(sent)
                return False
            parts.clear()
        return True

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
        self._parts.append(FRAME.pack(Kind.MESSAGE, ROW if sequence == flagged else 0, 0, sequence, size))
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
            pieces.append(pack(1, ROW if sequence == flagged else 0, 0, sequence, size))
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
