"""Samples survive the wire."""

import pyarrow as pa
import pytest

from aibench_lib.worker.samples import SCHEMA, from_ipc, to_ipc

ROW = {
    "host": "prefill01",
    "peer": "decode01",
    "qp": 1,
    "priority": 3,
    "size_bytes": 16_000_000,
    "intended_ns": 1_700_000_000_000_000_000,
    "posted_ns": 1_700_000_000_000_000_001,
    "completed_ns": 1_700_000_000_000_330_000,
    "received_ns": None,
    "status": "ok",
    "clock": "lab",
    "transport": "simulated",
    "observation_point": "endpoint",
    "operations": 1,
    "operation": "write_with_imm",
    "echoed_ns": None,
}


def test_a_table_comes_back_as_it_was_sent():
    table = pa.Table.from_pylist([ROW, {**ROW, "qp": 2}], schema=SCHEMA)
    assert from_ipc(to_ipc(table)).equals(table)


def test_a_record_batch_with_other_column_order_and_integer_types_is_cast_to_the_schema():
    columns = {name: [ROW[name]] for name in reversed(SCHEMA.names)}
    back = from_ipc(to_ipc(pa.RecordBatch.from_pydict(columns)))
    assert back.schema == SCHEMA
    assert back.to_pylist() == [ROW]


def test_a_trial_without_samples_is_an_empty_table():
    assert from_ipc(to_ipc(SCHEMA.empty_table())).num_rows == 0


def test_a_missing_column_is_refused():
    with pytest.raises(KeyError):
        to_ipc(pa.table({"host": ["a"]}))
