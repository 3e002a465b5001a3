"""The rows of samples of a simulated host, built by columns: a trial may have hundreds of thousands."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from aibench_lib.model import ObservationPoint
from aibench_lib.units import PS_PER_NS
from aibench_lib.virtual_lab.rendezvous import Share
from aibench_lib.virtual_lab.trial import NEVER, Integers, Loop, Messages
from aibench_lib.worker.samples import SCHEMA

CLOCK = "lab"
TRANSPORT = "simulated"


def rows(host: str, share: Share, t0_ns: int) -> pa.Table:
    """Return a row for each transfer of a host, and for each batch of its streams."""
    streams = (_of_stream(host, loop, messages, t0_ns) for loop, messages in share.loops)
    return pa.concat_tables([_of_transfers(host, share, t0_ns), *streams])


def _of_transfers(host: str, share: Share, t0_ns: int) -> pa.Table:
    flows, places, outcome = share.flows, share.places, share.outcome
    return _table(
        host,
        {
            "peer": pa.array([flow.destination for flow in flows], pa.string()),
            "qp": pa.array([flow.qp for flow in flows], pa.uint32()),
            "priority": pa.array([flow.priority for flow in flows], pa.uint32()),
            "size_bytes": pa.array([flow.size_bytes for flow in flows], pa.int64()),
            "intended_ns": pa.array([t0_ns + flow.offset_ns for flow in flows], pa.int64()),
            "operations": pa.repeat(pa.scalar(1, pa.uint32()), len(flows)),
            "operation": pa.array([flow.operation for flow in flows], pa.string()),
        },
        Messages(
            posted_ns=outcome.posted_ns[places],
            received_ns=outcome.received_ns[places],
            completed_ns=outcome.completed_ns[places],
        ),
    )


def _of_stream(host: str, loop: Loop, messages: Messages, t0_ns: int) -> pa.Table:
    """Return a row a batch: from the posting of its first message to the completion of its last."""
    count = len(messages.posted_ns)
    first = np.arange(0, count, loop.batch)
    last = np.minimum(first + loop.batch, count) - 1
    operations = last - first + 1
    posted = messages.posted_ns[first]
    turns = t0_ns + loop.offset_ns + first * loop.gap_ps // PS_PER_NS
    return _table(
        host,
        {
            "peer": pa.repeat(loop.destination, len(first)),
            "qp": pa.repeat(pa.scalar(loop.qp, pa.uint32()), len(first)),
            "priority": pa.repeat(pa.scalar(loop.priority, pa.uint32()), len(first)),
            "size_bytes": pa.array(operations * loop.size_bytes, pa.int64()),
            "intended_ns": pa.array(turns if loop.rate_bps else posted, pa.int64()),
            "operations": pa.array(operations, pa.uint32()),
            "operation": pa.repeat(loop.operation, len(first)),
        },
        Messages(posted_ns=posted, received_ns=messages.received_ns[last], completed_ns=messages.completed_ns[last]),
    )


def _table(host: str, asked: Mapping[str, Any], seen: Messages) -> pa.Table:
    count = len(seen.posted_ns)
    columns = {
        **asked,
        "host": pa.repeat(host, count),
        "posted_ns": _moments(seen.posted_ns),
        "completed_ns": _moments(seen.completed_ns),
        "received_ns": _moments(seen.received_ns),
        "status": pa.array(np.where(seen.completed_ns == NEVER, "timeout", "ok"), pa.string()),
        "clock": pa.repeat(CLOCK, count),
        "transport": pa.repeat(TRANSPORT, count),
        "observation_point": pa.repeat(str(ObservationPoint.ENDPOINT), count),
        "echoed_ns": pa.nulls(count, pa.int64()),
    }
    return pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def _moments(times_ns: Integers) -> pa.Array:
    return pa.array(times_ns, pa.int64(), mask=times_ns == NEVER)
