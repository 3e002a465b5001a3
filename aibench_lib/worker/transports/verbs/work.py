"""Work requests, built once and posted again and again.

pyverbs keeps a bare pointer to a work request's successor, so whoever posts a chain keeps all of it.
"""

from dataclasses import dataclass

from aibench_lib.worker.transports.verbs import library
from aibench_lib.worker.transports.verbs.library import SGE, RecvWR, SendWR

INLINE_BYTES = 64
"""Messages up to this travel within their work request."""
_OPCODES = {
    "write": (library.WRITE, library.WRITE),
    "write_with_imm": (library.WRITE, library.WRITE_WITH_IMM),
    "read": (library.READ, library.READ),
    "send": (library.SEND, library.SEND_WITH_IMM),
}
"""Operation -> how its work requests are called, and the last one of a row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Path:
    """Between which memories the messages of a queue pair go, and how."""

    operation: str
    address: int
    local_key: int
    remote_address: int
    remote_key: int
    chunk_bytes: int
    inline_bytes: int


def requests_of(size_bytes: int, chunk_bytes: int) -> int:
    """Return how many work requests a message is."""
    return -(-size_bytes // chunk_bytes)


class Chain:
    """The work requests of one row: all of its messages, the last of which alone is signalled.

    Args:
        path: Between which memories.
        size_bytes: Of a message.
        messages: How many of them the row is.
    """

    def __init__(self, path: Path, size_bytes: int, messages: int) -> None:
        plain, last = _OPCODES[path.operation]
        inline = library.INLINE if size_bytes <= path.inline_bytes and path.operation != "read" else 0
        pieces = [
            (begin, min(path.chunk_bytes, size_bytes - begin)) for begin in range(0, size_bytes, path.chunk_bytes)
        ] * messages
        # A SEND's bytes go where the receiver has said, which is the same place for every piece.
        self._requests = [
            _request(path, plain, 0 if path.operation == "send" else begin, size, inline) for begin, size in pieces
        ]
        for request, successor in zip(self._requests, self._requests[1:], strict=False):
            request.next_wr = successor
        self.head, self.last = self._requests[0], self._requests[-1]
        self.last.opcode = last
        self.last.send_flags = library.SIGNALED | inline
        self.length = len(self._requests)
        self.messages, self.size_bytes = messages, messages * size_bytes


class Receives:
    """Receives posted by one call; what arrives in them, if it has bytes, lands in one place.

    Args:
        count: How many.
        address: Of that place.
        length: Of that place; 0: immediates and words alone [bytes].
        local_key: Of its registration; even a place without bytes needs one.
    """

    def __init__(self, count: int, address: int, length: int, local_key: int) -> None:
        self._requests = [RecvWR(num_sge=1, sg=[SGE(address, length, local_key)]) for _ in range(count)]
        for request, successor in zip(self._requests, self._requests[1:], strict=False):
            request.next_wr = successor
        self.head = self._requests[0]
        self.count = count


def word(address: int, local_key: int) -> SendWR:
    """Return a SEND of no bytes, whose immediate is all it says."""
    return SendWR(opcode=library.SEND_WITH_IMM, num_sge=1, sg=[SGE(address, 0, local_key)], send_flags=library.SIGNALED)


def echo(address: int, local_key: int, remote_address: int, remote_key: int) -> SendWR:
    """Return a WRITE_WITH_IMM of eight bytes that are read as it is posted."""
    request = SendWR(
        opcode=library.WRITE_WITH_IMM,
        num_sge=1,
        sg=[SGE(address, 8, local_key)],
        send_flags=library.SIGNALED | library.INLINE,
    )
    request.set_wr_rdma(remote_key, remote_address)
    return request


def _request(path: Path, opcode: int, offset: int, size_bytes: int, flags: int) -> SendWR:
    element = SGE(path.address + offset, size_bytes, path.local_key)
    request = SendWR(opcode=opcode, num_sge=1, sg=[element], send_flags=flags)
    if path.remote_key:
        request.set_wr_rdma(path.remote_key, path.remote_address + offset)
    return request
