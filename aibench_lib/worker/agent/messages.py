"""Messages between an agent and its own processes: length-prefixed pickles of tuples over a pair of sockets."""

import pickle
import socket
import struct
from typing import Any

_LENGTH = struct.Struct("<I")


class Gone(Exception):  # noqa: N818 - the other side may well end first
    """The other side is not there any more."""


class Channel:
    """One end of a pair.  Whoever unpickles has itself forked whoever pickled.

    Args:
        end: A connected stream socket that blocks.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def send(self, *message: object) -> None:
        """Send one message; blocks while the other side does not read.

        Raises:
            Gone: The other side is.
        """
        data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        try:
            self._end.sendall(_LENGTH.pack(len(data)) + data)
        except OSError as error:
            raise Gone from error

    def receive(self) -> tuple[Any, ...]:
        """Wait for one message.

        Raises:
            Gone: The other side is.
        """
        (length,) = _LENGTH.unpack(self._exactly(_LENGTH.size))
        message: tuple[Any, ...] = pickle.loads(self._exactly(length))
        return message

    def fileno(self) -> int:
        """Return the descriptor, to wait for a message among other things."""
        return self._end.fileno()

    def close(self) -> None:
        """Close this end."""
        self._end.close()

    def _exactly(self, length: int) -> bytes:
        parts, missing = [], length
        while missing:
            try:
                part = self._end.recv(missing, socket.MSG_WAITALL)
            except OSError as error:
                raise Gone from error
            if not part:
                raise Gone
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)
