"""Where the sending ends dial in: each connection must prove which queue pair it is before anything else is read."""

import contextlib
import errno
import hmac
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence

from aibench_lib.worker.transports.tcp.wire import GREETING, MAGIC, TOKEN_BYTES
from aibench_lib.worker.transports.transport import TransportError

GREETING_SECONDS = 5.0
"""A connection that has not said by then who it is, is dropped."""
_STRANGERS = 64
"""Connections that have not yet said who they are, at most, beside those that are awaited."""

Claimed = Callable[[int, socket.socket], None]
"""Takes the place of a queue pair, and its proven connection."""


class Listener:
    """Takes connections in a thread of its own until every place is claimed.

    Args:
        address: The host's in the fabric under test; nothing listens on another one.
        tokens: Place -> what the sending end must show, and what it is answered.
        claimed: Called from the thread with each proven connection.

    Raises:
        TransportError: Nothing can listen there.
    """

    def __init__(self, address: str, tokens: Sequence[tuple[bytes, bytes]], claimed: Claimed) -> None:
        self._tokens = tokens
        self._claimed = claimed
        self._open = set(range(len(tokens)))
        self._greetings: dict[int, tuple[socket.socket, bytearray, float]] = {}
        self._complete = threading.Event()
        self._socket = _listening(address, len(tokens))
        self.port: int = self._socket.getsockname()[1]
        self._waker = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._selector.register(self._waker, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, name="tcp-listener", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> list[int]:
        """Wait until all places are claimed; return those that are not."""
        self._complete.wait(seconds)
        return sorted(self._open)

    def close(self) -> None:
        """End the thread and every connection that has not proven itself."""
        if self._waker < 0:
            return
        os.eventfd_write(self._waker, 1)
        self._thread.join()
        os.close(self._waker)
        self._waker = -1

    def _serve(self) -> None:
        try:
            while self._open:
                for key, _ in self._selector.select(1.0):
                    if key.fd == self._waker:
                        return
                    if key.fileobj is self._socket:
                        self._take()
                    else:
                        self._read(key.fd)
                self._drop_late()
        finally:
            for file in list(self._greetings):
                self._drop(file)
            self._selector.close()
            self._socket.close()
            self._complete.set()

    def _take(self) -> None:
        try:
            connection, _ = self._socket.accept()
        except OSError:  # it was gone again, or there is no file left for it: its sender's join says so
            return
        if len(self._greetings) >= len(self._open) + _STRANGERS:
            connection.close()
            return
        connection.setblocking(False)
        file = connection.fileno()
        self._greetings[file] = (connection, bytearray(), time.monotonic() + GREETING_SECONDS)
        self._selector.register(file, selectors.EVENT_READ)

    def _read(self, file: int) -> None:
        connection, greeting, _ = self._greetings[file]
        try:
            data = connection.recv(GREETING.size - len(greeting))
        except OSError:
            data = b""
        greeting += data
        if not data:
            self._drop(file)
        elif len(greeting) == GREETING.size:
            self._judge(file, connection, bytes(greeting))

    def _judge(self, file: int, connection: socket.socket, greeting: bytes) -> None:
        magic, place, token = GREETING.unpack(greeting)
        expected, answer = self._tokens[place] if place in self._open else (bytes(TOKEN_BYTES), b"")
        if not hmac.compare_digest(token, expected) or magic != MAGIC or place not in self._open:
            self._drop(file)
            return
        self._selector.unregister(file)
        del self._greetings[file]
        self._claimed(place, connection)
        self._open.discard(place)
        with contextlib.suppress(OSError):  # a sending end that is gone again is seen when the trial runs
            connection.send(answer)

    def _drop(self, file: int) -> None:
        connection = self._greetings.pop(file)[0]
        self._selector.unregister(file)
        connection.close()

    def _drop_late(self) -> None:
        now = time.monotonic()
        for file in [file for file, (_, _, until) in self._greetings.items() if until < now]:
            self._drop(file)


def _listening(address: str, count: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.bind((address, 0))
        listening.listen(count + _STRANGERS)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise TransportError(
                f"no interface has the address {address}; set `address` of the worker to the host's in the fabric"
            ) from error
        raise TransportError(f"cannot listen on {address}: {error.strerror}") from error
    listening.setblocking(False)
    return listening
