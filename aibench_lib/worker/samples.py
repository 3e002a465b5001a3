"""The samples of a trial as they travel from an agent and lie on disk: one row a transfer."""

import pyarrow as pa

SCHEMA = pa.schema(
    [
        pa.field("host", pa.string(), nullable=False),
        pa.field("peer", pa.string(), nullable=False),
        pa.field("qp", pa.uint32(), nullable=False),
        pa.field("priority", pa.uint32(), nullable=False),
        pa.field("size_bytes", pa.int64(), nullable=False),
        pa.field("intended_ns", pa.int64(), nullable=False),
        pa.field("posted_ns", pa.int64()),
        pa.field("completed_ns", pa.int64()),
        pa.field("received_ns", pa.int64()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("clock", pa.string(), nullable=False),
        pa.field("transport", pa.string(), nullable=False),
        pa.field("observation_point", pa.string(), nullable=False),
    ]
)
"""``host`` sends to ``peer``. Times are ns since the epoch on ``clock``: when the transfer was meant to be posted, was
posted, was complete at the sender, and had arrived whole at the receiver (null where the agent cannot know it, or where
it never happened). ``status`` is ``ok`` or the reason why the transfer has failed."""


def to_ipc(samples: pa.Table | pa.RecordBatch) -> bytes:
    """Return the samples as one Arrow IPC stream.

    Args:
        samples: Rows with the columns of :data:`SCHEMA`; types are cast to it.
    """
    table = samples if isinstance(samples, pa.Table) else pa.Table.from_batches([samples])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SCHEMA) as writer:
        writer.write_table(table.select(SCHEMA.names).cast(SCHEMA))
    return bytes(sink.getvalue())


def from_ipc(data: bytes) -> pa.Table:
    """Return the rows of one Arrow IPC stream that :func:`to_ipc` has written."""
    with pa.ipc.open_stream(data) as reader:
        return reader.read_all()
