"""The incoming half of a connection: bytes become frames, and payload is received, stamped and compared."""

import socket

from aibench_lib.worker.transports.clock import now_ns
from aibench_lib.worker.transports.tcp.payload import Payload
from aibench_lib.worker.transports.tcp.wire import ARRIVED, FRAME, MARK, MESSAGE, ROW

_BUFFER_BYTES = 1 << 18
"""Small enough for the processor's second cache."""
_PIECE_BYTES = 1 << 15
"""Of the memory that payload is received into when nobody looks at it: small enough to stay in the cache."""
_CALL_BYTES = 1 << 21
"""Asked of the kernel in one call at most."""
_TAIL_BYTES = 1 << 12
"""Of what follows a large message, taken with it."""
_BULK_BYTES = 1 << 16
"""From so many bytes of payload on they are received apart from the frames."""
_WITHIN, _NO_ROW = -2, -1
"""In the place of the number of a row: a part of a message that goes on, and the end of one that ends no row."""

_HEADER_BYTES, _unpack = FRAME.size, FRAME.unpack_from
Frame = tuple[int, int, int, int, int]
"""What :data:`FRAME` unpacks to."""


class Scratch:
    """The memory that the connections of one thread receive into, one after the other."""

    def __init__(self) -> None:
        self.buffer = bytearray(b"\x01") * _BUFFER_BYTES  # written once, so that no page is missing later
        self.view = memoryview(self.buffer)
        self.piece = self.view[:_PIECE_BYTES]
        self.tail = bytearray(_TAIL_BYTES)


class Inflow:
    """Frames out of a socket.

    Args:
        connection: It does not block.
        payload: Of the trial; None: what arrives is not compared.
        key: Of the queue pair, for the payload.
        scratch: Of the thread.
    """

    def __init__(self, connection: socket.socket, payload: Payload | None, key: int, scratch: Scratch) -> None:
        self._connection = connection
        self._payload = payload
        self._key = key
        self._scratch = scratch
        self._cut = b""
        self._left_bytes = 0
        self._sequence = 0
        self._flags = 0
        self._size = 0
        self._differing = 0
        self._differs = False
        self._unjudged: list[tuple[int, int, int, int]] = []
        self.stamp_ns = 0
        """When the last call of :meth:`receive` had its bytes."""

    def receive(self) -> list[Frame]:
        """Return the frames that have come; of messages only those that end a row.

        Raises:
            OSError: The connection is broken, or the other end has closed it.
        """
        scratch, start = self._scratch, 0
        try:
            if self._left_bytes >= _BULK_BYTES and self._payload is None:
                return self._receive_bulk()
            if self._cut:
                start = len(self._cut)
                scratch.buffer[:start] = self._cut
                count = self._connection.recv_into(scratch.view[start:])
            else:
                count = self._connection.recv_into(scratch.view)
        except BlockingIOError:
            return []
        self.stamp_ns = now_ns()
        if not count:
            raise ConnectionResetError("the other end has closed the connection")
        frames: list[Frame] = []
        self._parse(scratch.buffer, start + count, frames)
        return frames

    def judge(self) -> list[tuple[int, int]]:
        """Compare what the last call of :meth:`receive` has left in memory.

        Returns:
            (sequence, messages that differ) of each row that ended.
        """
        verdicts = []
        payload = self._payload
        if payload is None:
            return []
        for start, count, place, row in self._unjudged:
            if count and not self._differs:
                self._differs = payload.differs(self._scratch.buffer, start, count, place)
            if row != _WITHIN:
                self._differing += self._differs
                self._differs = False
            if row >= 0:
                verdicts.append((row, self._differing))
                self._differing = 0
        self._unjudged.clear()
        return verdicts

    def _receive_bulk(self) -> list[Frame]:
        """Receive a part of a large message: over and over into the same memory, and at its end what follows it."""
        piece, left = self._scratch.piece, min(self._left_bytes, _CALL_BYTES)
        parts: list[bytearray | memoryview] = [piece] * (left // _PIECE_BYTES)
        if left % _PIECE_BYTES:
            parts.append(piece[: left % _PIECE_BYTES])
        if left == self._left_bytes:
            parts.append(self._scratch.tail)
        count = self._connection.recvmsg_into(parts)[0]
        self.stamp_ns = now_ns()
        if not count:
            raise ConnectionResetError("the other end has closed the connection")
        if count < self._left_bytes:
            self._left_bytes -= count
            return []
        more = count - self._left_bytes
        self._left_bytes = 0
        frames = [(MESSAGE, self._flags, 0, self._sequence, self._size)] if self._flags & ROW else []
        if more:
            self._parse(self._scratch.tail, more, frames)
        return frames

    def _parse(self, buffer: bytearray, end: int, frames: list[Frame]) -> None:
        """Take apart what lies in a buffer up to ``end``."""
        verify = self._payload is not None
        place = self._go_on(end, frames) if self._left_bytes else 0
        while end - place >= _HEADER_BYTES:
            frame = kind, flags, _, sequence, value = _unpack(buffer, place)
            place += _HEADER_BYTES
            if kind != MESSAGE:
                frames.append(frame)
                if verify and kind in (MARK, ARRIVED):
                    self._unjudged.append((0, 0, 0, sequence))
            elif value > end - place or verify:
                self._sequence, self._flags, self._left_bytes, self._size = sequence, flags, value, value
                place = self._go_on(end, frames, place)
            else:
                place += value
                if flags:
                    frames.append(frame)
        self._cut = bytes(buffer[place:end]) if place < end else b""

    def _go_on(self, end: int, frames: list[Frame], place: int = 0) -> int:
        """Take the payload of the message at hand, as far as it is there; return where it ends."""
        take = min(self._left_bytes, end - place)
        before = self._size - self._left_bytes
        self._left_bytes -= take
        ended = not self._left_bytes
        if ended and self._flags & ROW:
            frames.append((MESSAGE, self._flags, 0, self._sequence, self._size))
        if self._payload is not None:
            where = self._payload.begin(self._key, self._sequence) + before
            row = _WITHIN if not ended else self._sequence if self._flags & ROW else _NO_ROW
            self._unjudged.append((place, take, where, row))
        return place + take
