"""What travels on a data connection: a greeting each way, then frames."""

import struct
from typing import NamedTuple

from aibench_lib.worker.transports.transport import TransportError

TOKEN_BYTES = 16
"""Random bytes by which each end of a queue pair knows the other; they travel inside the agents' mutual TLS alone."""

GREETING = struct.Struct(f"<8sI{TOKEN_BYTES}s")
"""Of the sending end: :data:`MAGIC`, the queue pair's place at the receiving end, the sending end's token.  The
receiving end answers with its own token alone."""
MAGIC = b"aibench1"

FRAME = struct.Struct("<HHIQq")
"""kind, flags, 0, sequence, value."""
ROW = 1
"""The flag of a message that ends a row: its arrival is answered."""


# What a frame is, and what its value says.
MESSAGE = 1
"""A message; as many bytes of payload follow [size in bytes]."""
REQUEST = 2
"""Send me this message, as a READ does [size in bytes]."""
ARRIVED = 3
"""Everything up to this sequence has arrived [when the last byte was seen, ns on the receiver's clock]."""
VERDICT = 4
"""What has arrived in the row that this sequence ends [messages that differed from what was sent]."""
MARK = 5
"""No message: answer for everything up to this sequence, since a loop ends within a row [0]."""
END = 6
"""The sending end has done; the receiving end answers with the same [0]."""

_SENDER = struct.Struct(f"<{TOKEN_BYTES}sB????")
_RECEIVER = struct.Struct(f"<{TOKEN_BYTES}sIH")


class SenderAddress(NamedTuple):
    """What a receiving end must know of the sending one."""

    token: bytes
    priority: int
    verify: bool
    """Whether the payload is compared where it arrives."""
    pulls: bool
    """Whether the sending end asks for the messages, as a READ does."""
    large: bool
    """Whether its largest message is worth a thread."""
    prompt: bool
    """Whether it sends one message at a time, to measure how long each takes."""

    def packed(self) -> bytes:
        """Return it as bytes."""
        return _SENDER.pack(*self)

    @classmethod
    def unpacked(cls, data: bytes) -> "SenderAddress":
        """Return what :meth:`packed` has packed.

        Raises:
            TransportError: It was somebody else's.
        """
        if len(data) != _SENDER.size:
            raise TransportError("a queue pair's address is not one of TCP; see that both hosts use the same transport")
        return cls(*_SENDER.unpack(data))


class ReceiverAddress(NamedTuple):
    """What a sending end must know of the receiving one."""

    token: bytes
    place: int
    port: int
    host: str
    """An IP address."""

    def packed(self) -> bytes:
        """Return it as bytes."""
        return _RECEIVER.pack(self.token, self.place, self.port) + self.host.encode()

    @classmethod
    def unpacked(cls, data: bytes) -> "ReceiverAddress":
        """Return what :meth:`packed` has packed.

        Raises:
            TransportError: It was somebody else's.
        """
        if len(data) <= _RECEIVER.size:
            raise TransportError("a queue pair's address is not one of TCP; see that both hosts use the same transport")
        token, place, port = _RECEIVER.unpack_from(data)
        return cls(token, place, port, data[_RECEIVER.size :].decode("ascii", "replace"))
