"""Packed rows of the groups, as Arrow batches: whole columns at a time, never a row."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

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
_STATUSES = pa.array(STATUSES, pa.string())


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
        self._peers = pa.array([queue.peer for queue in sends], pa.string())
        self._qps = pa.array([queue.qp for queue in sends], pa.uint32())
        self._priorities = pa.array([queue.priority for queue in sends], pa.uint32())
        self._operations = pa.array([queue.operation for queue in sends], pa.string())
        self._senders = pa.array([sender.host for sender in receives], pa.string())
        self._sender_qps = pa.array([sender.qp for sender in receives], pa.uint32())

    def samples(self, blocks: Sequence[bytes]) -> bytes:
        """Return blocks of packed samples as one Arrow IPC stream."""
        rows = np.frombuffer(b"".join(blocks), _SAMPLE)
        places = pa.array(rows["place"])
        columns = {name: pa.repeat(value, len(rows)) for name, value in self._constant.items()} | {
            "peer": self._peers.take(places),
            "qp": self._qps.take(places),
            "priority": self._priorities.take(places),
            "operation": self._operations.take(places),
            "status": _STATUSES.take(pa.array(rows["status"])),
            "operations": pa.array(rows["operations"]),
            "size_bytes": pa.array(rows["size_bytes"]),
            "intended_ns": pa.array(rows["intended_ns"]),
        }
        for name in ("posted_ns", "completed_ns", "received_ns", "echoed_ns"):
            columns[name] = pa.array(rows[name], mask=rows[name] == NEVER)
        return to_ipc(pa.record_batch([columns[name] for name in SCHEMA.names], schema=SCHEMA))

    def receipts(self, blocks: Sequence[bytes]) -> bytes:
        """Return blocks of packed receipts as one Arrow IPC stream."""
        rows = np.frombuffer(b"".join(blocks), _RECEIPT)
        places = pa.array(rows["place"])
        columns = {
            "host": self._senders.take(places),
            "peer": pa.repeat(self._host, len(rows)),
            "qp": self._sender_qps.take(places),
            "sequence": pa.array(rows["sequence"]),
            "size_bytes": pa.array(rows["size_bytes"]),
            "received_ns": pa.array(rows["received_ns"]),
        }
        return to_ipc(pa.record_batch([columns[name] for name in RECEIPTS.names], schema=RECEIPTS), RECEIPTS)
