"""The samples of a trial as they travel from an agent and lie on disk: a row a transfer or a batch of a stream."""

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
        pa.field("operations", pa.uint32(), nullable=False),
        pa.field("operation", pa.string(), nullable=False),
        pa.field("echoed_ns", pa.int64()),
    ]
)
"""``host`` sends to ``peer``. Times are ns since the epoch on ``clock``: when the transfer was meant to be posted, was
posted, was complete at the sender, and had arrived whole at the receiver (null where the agent cannot know it, or where
it never happened). ``status`` is ``ok`` or the reason why the transfer has failed. A row of a stream stands for
``operations`` messages of together ``size_bytes``: the first was posted at ``posted_ns``, the last complete at
``completed_ns``. ``operation`` is one of :data:`aibench_lib.worker.transports.transport.OPERATIONS`. ``echoed_ns`` is
when the receiving software's answer had come back, on the sender's clock."""

RECEIPTS = pa.schema(
    [
        pa.field("host", pa.string(), nullable=False),
        pa.field("peer", pa.string(), nullable=False),
        pa.field("qp", pa.uint32(), nullable=False),
        pa.field("sequence", pa.int64(), nullable=False),
        pa.field("size_bytes", pa.int64(), nullable=False),
        pa.field("received_ns", pa.int64(), nullable=False),
    ]
)
"""What a receiving host saw: the signal of the row ``sequence`` (from 0) that ``host`` has sent to ``peer`` on queue
pair ``qp``, at ``received_ns`` on the receiver's clock.  Where the samples' own ``received_ns`` is null, it comes from
here."""


def to_ipc(samples: pa.Table | pa.RecordBatch, schema: pa.Schema = SCHEMA) -> bytes:
    """Return rows as one Arrow IPC stream.

    Args:
        samples: Rows with the columns of the schema; types are cast to it.
        schema: :data:`SCHEMA` or :data:`RECEIPTS`.
    """
    if not samples.schema.equals(schema):  # casting takes ten times as long as all the rest
        table = samples if isinstance(samples, pa.Table) else pa.Table.from_batches([samples])
        samples = table.select(schema.names).cast(schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write(samples)
    return bytes(sink.getvalue())


def from_ipc(data: bytes) -> pa.Table:
    """Return the rows of one Arrow IPC stream that :func:`to_ipc` has written."""
    with pa.ipc.open_stream(data) as reader:
        return reader.read_all()
