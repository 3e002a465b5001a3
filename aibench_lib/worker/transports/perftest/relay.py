"""The one connection of a run between two hosts, through which the tools at its ends find each other.

A tool talks to ``127.0.0.1`` alone: what it says is carried to the other host over a connection that began with the
queue pair's token.  So it needs no way of its own through the fabric, and nobody without the token starts a run.
"""

import itertools
import select
import socket
import struct
import time
from collections.abc import Callable, Sequence

from aibench_lib.worker.transports.clock import now_ns

HELLO = struct.Struct("!16sI")
"""Token and number of messages."""
END = 0xFFFFFFFF
"""In place of the number: the sending end is done with this queue pair."""
READY = b"R"
_PIECE_BYTES = 1 << 16
_POLL_SECONDS = 0.1
_HELLO_SECONDS = 5.0
"""For the first bytes of whoever connects: nobody may keep the others waiting."""
_RETRY_SECONDS = 0.02
_SURE = 0.95
"""A silence may be that much shorter than what the tool has measured: what it prints is rounded."""

Over = Callable[[], bool]
"""Whether there is no more time, or nobody wants an answer any more."""


class Ended(Exception):  # noqa: N818 - no fault
    """The trial is over."""


def listen(address: str) -> socket.socket:
    """Return a listening socket on an address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server((address, 0), family=family)


def exactly(connection: socket.socket, count: int, over: Over) -> bytes:
    """Return so many bytes.

    Raises:
        Ended: The trial was over before they were there, or the other end has hung up.
    """
    got = b""
    while len(got) < count:
        if not _readable([connection], over):
            raise Ended
        piece = connection.recv(count - len(got))
        if not piece:
            raise Ended
        got += piece
    return got


def hello(connection: socket.socket, over: Over) -> tuple[bytes, int]:
    """Return the token and the number with which a connection begins; no token of one that begins otherwise."""
    latest = time.monotonic() + _HELLO_SECONDS
    try:
        first = exactly(connection, HELLO.size, lambda: over() or time.monotonic() > latest)
    except (Ended, OSError):
        return b"", END
    token, messages = HELLO.unpack(first)
    return token, messages


def _readable(sockets: list[socket.socket], over: Over) -> list[socket.socket]:
    while not over():
        ready = select.select(sockets, [], [], _POLL_SECONDS)[0]
        if ready:
            return ready
    return []


def accept(listener: socket.socket, over: Over) -> socket.socket:
    """Return the next connection.

    Raises:
        Ended: There came none.
    """
    if not _readable([listener], over):
        raise Ended
    return listener.accept()[0]


def connect_to_tool(port: int, over: Over) -> socket.socket:
    """Return a connection to the tool that is about to listen on a port of this host.

    Raises:
        Ended: It never did.
    """
    while not over():
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=None)
        except ConnectionRefusedError:
            time.sleep(_RETRY_SECONDS)
    raise Ended


def free_port() -> int:
    """Return a TCP port that nobody listens on now."""
    with socket.create_server(("", 0)) as asked:
        return int(asked.getsockname()[1])


def carry(tool: socket.socket, other: socket.socket, over: Over) -> list[int]:
    """Carry bytes both ways until one side hangs up.

    Returns:
        When something was said, by either side; hanging up is the last word [ns].

    Raises:
        Ended: The trial was over first.
    """
    words: list[int] = []
    while True:
        ready = _readable([tool, other], over)
        if not ready:
            raise Ended
        for source in ready:
            piece = _received(source)
            words.append(now_ns())
            if not piece:
                return words
            (other if source is tool else tool).sendall(piece)


def began_ns(words: Sequence[int], measured_ns: int) -> int:
    """Return when a tool began to send: with the last word before a silence as long as it has measured [ns].

    Both ends say that they are ready, send, and then say that they are done, or hang up.
    """
    for before, after in reversed(list(itertools.pairwise(words))):
        if after - before >= measured_ns * _SURE:
            return before
    return words[-1] - measured_ns if words else now_ns() - measured_ns


def _received(source: socket.socket) -> bytes:
    try:
        return source.recv(_PIECE_BYTES)
    except ConnectionResetError:
        return b""
