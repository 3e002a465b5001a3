"""The rows that a sending or receiving process writes in its hot loop: packed, flushed in blocks, never held.

A process that runs for hours writes as much as one that runs for seconds holds.  The agent turns blocks into Arrow.
"""

import struct
from collections.abc import Callable

SAMPLE = struct.Struct("<IIqqqqqqII")
"""place, operations, size_bytes, intended_ns, posted_ns, completed_ns, received_ns, echoed_ns, status, 0.

``place`` is the queue pair's in the group's list of those that send.  A time is :data:`NEVER` where it is not known."""
RECEIPT = struct.Struct("<IIqqq")
"""place, 0, sequence, size_bytes, received_ns.

``place`` is the queue pair's in the group's list of those it receives from; ``sequence`` counts the rows of the sending
end from 0."""
NEVER = -1
STATUSES = (
    "ok",
    "timeout",
    "payload differs",
    "retries exceeded",
    "receiver not ready",
    "remote access error",
    "local protection error",
    "flushed",
    "other error",
)
"""What a row's status number says; 0 is ``ok``."""
OK, TIMEOUT, DIFFERS, RETRIES, NOT_READY, REMOTE_ACCESS, LOCAL_PROTECTION, FLUSHED, OTHER = range(len(STATUSES))

_ROWS_A_BLOCK = 1024

Flush = Callable[[str, bytes], None]
"""Takes ``samples`` or ``receipts``, and a block of whole rows."""


class Rows:
    """Two buffers of packed rows.

    Args:
        flush: Called with each full block, from the thread that added the last row to it; it may block, which holds the
            sender: rows are never dropped.
    """

    def __init__(self, flush: Flush) -> None:
        self._flush = flush
        self._samples = bytearray(SAMPLE.size * _ROWS_A_BLOCK)
        self._receipts = bytearray(RECEIPT.size * _ROWS_A_BLOCK)
        self._sample_end = 0
        self._receipt_end = 0

    def sample(
        self,
        place: int,
        operations: int,
        size_bytes: int,
        intended_ns: int,
        posted_ns: int,
        completed_ns: int,
        received_ns: int = NEVER,
        echoed_ns: int = NEVER,
        status: int = OK,
    ) -> None:
        """Add a row of the sending end."""
        SAMPLE.pack_into(
            self._samples,
            self._sample_end,
            place,
            operations,
            size_bytes,
            intended_ns,
            posted_ns,
            completed_ns,
            received_ns,
            echoed_ns,
            status,
            0,
        )
        self._sample_end += SAMPLE.size
        if self._sample_end == len(self._samples):
            self._flush("samples", bytes(self._samples))
            self._sample_end = 0

    def receipt(self, place: int, sequence: int, size_bytes: int, received_ns: int) -> None:
        """Add a row of the receiving end."""
        RECEIPT.pack_into(self._receipts, self._receipt_end, place, 0, sequence, size_bytes, received_ns)
        self._receipt_end += RECEIPT.size
        if self._receipt_end == len(self._receipts):
            self._flush("receipts", bytes(self._receipts))
            self._receipt_end = 0

    def close(self) -> None:
        """Flush what is left."""
        if self._sample_end:
            self._flush("samples", bytes(self._samples[: self._sample_end]))
        if self._receipt_end:
            self._flush("receipts", bytes(self._receipts[: self._receipt_end]))
        self._sample_end = self._receipt_end = 0
