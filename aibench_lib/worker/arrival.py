"""When the kernel received a datagram: neither a busy interpreter nor a late wake-up is in it."""

import socket
import struct
from collections.abc import Iterable

from aibench_lib.units import NS_PER_SECOND

_SO_TIMESTAMPNS = getattr(socket, "SO_TIMESTAMPNS", 35)
_TIMESPEC = struct.Struct("@ll")
ANCILLARY_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)
"""Room that ``recvmsg`` needs for a stamp."""


def stamp_arrivals(receiving: socket.socket) -> None:
    """Have the kernel stamp what a socket receives."""
    receiving.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)


def arrived_ns(ancillary: Iterable[tuple[int, int, bytes]]) -> int:
    """Return when the kernel received a datagram, 0 where it does not say [ns since the epoch].

    Args:
        ancillary: As ``recvmsg`` returns it.
    """
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            return int(seconds) * NS_PER_SECOND + int(nanoseconds)
    return 0
