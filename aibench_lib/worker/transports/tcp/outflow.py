"""The outgoing half of a connection: what is posted waits here until the kernel takes it."""

import socket
from collections import deque
from typing import NamedTuple

from aibench_lib.worker.transports.tcp.payload import Payload
from aibench_lib.worker.transports.tcp.wire import FRAME, ROW, Kind

_CALL_BYTES = 1 << 20
"""Given to the kernel in one call at most: what it cannot take must be cut off again."""
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
        self._parts: list[bytes | memoryview] = []
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
        while self._parts or self._gather():
            try:
                sent = self._connection.sendmsg(self._parts)
            except BlockingIOError:
                return False
            if sent < self._parts_bytes:
                self._cut(sent)
                return False
            self._parts.clear()
            self._parts_bytes = 0
        return True

    def _gather(self) -> bool:
        """Make pieces of what waits, for one call; return whether there are any."""
        parts, waiting = self._parts, self._waiting
        total = 0
        while total < _CALL_BYTES:
            if self._left_bytes:
                take = min(self._left_bytes, _CALL_BYTES - total)
                self._payload.add_slices(parts, self._place, take)
                self._left_bytes -= take
                self._place += take
                total += take
            elif not waiting:
                break
            elif isinstance(waiting[0], bytes):
                parts.append(waiting.popleft())  # type: ignore[arg-type] # it was just seen to be bytes
                total += len(parts[-1])
            else:
                total += self._begin(waiting[0])
        self._parts_bytes = total
        return bool(total)

    def _begin(self, run: Run) -> int:
        """Take the first message of a run, or many small ones; return the bytes of the pieces added."""
        sequence, count, size, ends_row = run
        taken = min(count, max(1, _BLOCK_BYTES // (size + FRAME.size))) if size < _JOINED_BYTES else 1
        if taken == count:
            self._waiting.popleft()
        else:
            self._waiting[0] = Run(sequence + taken, count - taken, size, ends_row)
        flagged = sequence + count - 1 if ends_row else -1
        if size < _JOINED_BYTES:
            self._parts.append(self._block(sequence, taken, size, flagged))
            return taken * (FRAME.size + size)
        self._parts.append(FRAME.pack(Kind.MESSAGE, ROW if sequence == flagged else 0, 0, sequence, size))
        self._place = self._payload.begin(self._key, sequence)
        self._left_bytes = size
        return FRAME.size

    def _block(self, first: int, count: int, size: int, flagged: int) -> bytes:
        pieces: list[bytes | memoryview] = []
        pack, begin, add_slices, key = FRAME.pack, self._payload.begin, self._payload.add_slices, self._key
        for sequence in range(first, first + count):
            pieces.append(pack(1, ROW if sequence == flagged else 0, 0, sequence, size))
            add_slices(pieces, begin(key, sequence), size)
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
