"""Packed rows of the groups, as Arrow batches: whole columns at a time, never a row."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from aibench_lib.model import ObservationPoint
from aibench_lib.worker.samples import RECEIPTS, SCHEMA, to_ipc
from aibench_lib.worker.transports.rows import NEVER, RECEIPT, SAMPLE, STATUSES
from aibench_lib.worker.transports.transport import Sender, SendQueue

_SAMPLE = np.dtype(
    [
        ("place", "<u4"),
        ("operations", "<u4"),
        ("size_bytes", "<i8"),
        ("intended_ns", "<i8"),
        ("posted_ns", "<i8"),
        ("completed_ns", "<i8"),
        ("received_ns", "<i8"),
        ("echoed_ns", "<i8"),
        ("status", "<u4"),
        ("unused", "<u4"),
    ]
)
_RECEIPT = np.dtype(
    [("place", "<u4"), ("unused", "<u4"), ("sequence", "<i8"), ("size_bytes", "<i8"), ("received_ns", "<i8")]
)
assert _SAMPLE.itemsize == SAMPLE.size
assert _RECEIPT.itemsize == RECEIPT.size


def _strings(values: Sequence[str]) -> pa.Array:
    """Return an array of texts.  ``pa.array`` would import pandas wherever it finds it, half a second and 40 MB."""
    encoded = [value.encode() for value in values]
    ends = np.cumsum([0, *(len(value) for value in encoded)], dtype=np.int32)
    data = pa.py_buffer(b"".join(encoded))
    return pa.Array.from_buffers(pa.string(), len(encoded), [None, pa.py_buffer(ends), data])


def _repeated(value: str, count: int) -> pa.Array:
    data = value.encode()
    ends = np.arange(count + 1, dtype=np.int32) * len(data)
    return pa.Array.from_buffers(pa.string(), count, [None, pa.py_buffer(ends), pa.py_buffer(data * count)])


def _numbers(values: np.ndarray[Any, Any], kind: pa.DataType, valid: np.ndarray[Any, Any] | None = None) -> pa.Array:
    """Return an array of numbers; null where they are not valid."""
    bitmap = None if valid is None or valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(kind, len(values), [bitmap, pa.py_buffer(np.ascontiguousarray(values))])


def _each(values: Iterable[int]) -> pa.Array:
    return _numbers(np.array(list(values), np.uint32), pa.uint32())


_STATUSES = _strings(STATUSES)
_STATUSES.take(_each([0]))  # the first time takes tens of ms, and pyarrow.compute above more: not in the first trial


class Batches:
    """Makes the batches of one group.

    Args:
        host: Inventory name.
        transport: Label of what sends.
        clock: What the host's clock is.
        sends: The queue pairs the group sends on, in the order of its rows' places.
        receives: Those it receives from, likewise.
    """

    def __init__(
        self, host: str, transport: str, clock: str, sends: Sequence[SendQueue], receives: Sequence[Sender]
    ) -> None:
        self._host = host
        self._constant = {
            "host": host,
            "clock": clock,
            "transport": transport,
            "observation_point": str(ObservationPoint.ENDPOINT),
        }
        self._peers = _strings([queue.peer for queue in sends])
        self._qps = _each(queue.qp for queue in sends)
        self._priorities = _each(queue.priority for queue in sends)
        self._operations = _strings([queue.operation for queue in sends])
        self._senders = _strings([sender.host for sender in receives])
        self._sender_qps = _each(sender.qp for sender in receives)

    def samples(self, blocks: Sequence[bytes]) -> bytes:
        """Return blocks of packed samples as one Arrow IPC stream."""
        rows = np.frombuffer(b"".join(blocks), _SAMPLE)
        places = _numbers(rows["place"], pa.uint32())
        columns = {name: _repeated(value, len(rows)) for name, value in self._constant.items()} | {
            "peer": self._peers.take(places),
            "qp": self._qps.take(places),
            "priority": self._priorities.take(places),
            "operation": self._operations.take(places),
            "status": _STATUSES.take(_numbers(rows["status"], pa.uint32())),
            "operations": _numbers(rows["operations"], pa.uint32()),
            "size_bytes": _numbers(rows["size_bytes"], pa.int64()),
            "intended_ns": _numbers(rows["intended_ns"], pa.int64()),
        }
        for name in ("posted_ns", "completed_ns", "received_ns", "echoed_ns"):
            columns[name] = _numbers(rows[name], pa.int64(), rows[name] != NEVER)
        return to_ipc(pa.record_batch([columns[name] for name in SCHEMA.names], schema=SCHEMA))

    def receipts(self, blocks: Sequence[bytes]) -> bytes:
        """Return blocks of packed receipts as one Arrow IPC stream."""
        rows = np.frombuffer(b"".join(blocks), _RECEIPT)
        places = _numbers(rows["place"], pa.uint32())
        columns = {
            "host": self._senders.take(places),
            "peer": _repeated(self._host, len(rows)),
            "qp": self._sender_qps.take(places),
            "sequence": _numbers(rows["sequence"], pa.int64()),
            "size_bytes": _numbers(rows["size_bytes"], pa.int64()),
            "received_ns": _numbers(rows["received_ns"], pa.int64()),
        }
        return to_ipc(pa.record_batch([columns[name] for name in RECEIPTS.names], schema=RECEIPTS), RECEIPTS)
