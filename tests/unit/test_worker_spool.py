"""What agents send is kept on disk, put on one clock, and joined by queue pair and sequence."""

import dataclasses
import errno
import os
import tempfile
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from agent_servers import Lab, make_keys
from hypothesis import given
from hypothesis import strategies as st

from aibench_lib.errors import LabError, TrialError
from aibench_lib.model import Stream, TrialLoad
from aibench_lib.worker import agent_pb2
from aibench_lib.worker.completeness import check_complete
from aibench_lib.worker.coordinator import Coordinator
from aibench_lib.worker.receipts import NEVER, ReceiptSheet
from aibench_lib.worker.samples import RECEIPTS, SCHEMA, to_ipc
from aibench_lib.worker.spool import Spool

T = 1_700_000_000_000_000_000
LONG_TRIAL_MESSAGES = int(os.environ.get("AIBENCH_LONG_TRIAL_MESSAGES", "150"))


def rows(host, peer, qps, *, received=None, status="ok", size=4096):
    """Rows of one host; row number n of all is posted n us after T."""
    count = len(qps)
    times = T + 1000 * np.arange(count)
    return pa.table(
        {
            "host": pa.repeat(host, count),
            "peer": pa.repeat(peer, count),
            "qp": pa.array(qps, pa.uint32()),
            "priority": pa.array([3] * count, pa.uint32()),
            "size_bytes": pa.array([size] * count, pa.int64()),
            "intended_ns": times,
            "posted_ns": times,
            "completed_ns": times + 500,
            "received_ns": pa.array(received or [None] * count, pa.int64()),
            "status": pa.repeat(status, count),
            "clock": pa.repeat("realtime", count),
            "transport": pa.repeat("tcp", count),
            "observation_point": pa.repeat("endpoint", count),
            "operations": pa.array([1] * count, pa.uint32()),
            "operation": pa.repeat("write", count),
            "echoed_ns": pa.nulls(count, pa.int64()),
        },
        schema=SCHEMA,
    )


def receipts(host, peer, qp, sequences, times):
    count = len(sequences)
    return pa.table(
        {
            "host": pa.repeat(host, count),
            "peer": pa.repeat(peer, count),
            "qp": pa.array([qp] * count, pa.uint32()),
            "sequence": pa.array(sequences, pa.int64()),
            "size_bytes": pa.array([4096] * count, pa.int64()),
            "received_ns": pa.array(times, pa.int64()),
        },
        schema=RECEIPTS,
    )


def test_the_table_holds_host_after_host_whatever_the_order_of_arrival(tmp_path):
    with Spool(tmp_path) as spool:
        spool.add("b", to_ipc(rows("b", "c", [1])), b"")
        spool.add("a", to_ipc(rows("a", "c", [1, 2])), b"")
        spool.add("b", to_ipc(rows("b", "c", [7])), b"")
        table = spool.table(["a", "b", "c"], {})
    assert list(zip(table["host"].to_pylist(), table["qp"].to_pylist(), strict=True)) == [
        ("a", 1),
        ("a", 2),
        ("b", 1),
        ("b", 7),
    ]
    assert table.schema == SCHEMA


def test_a_trial_without_rows_is_an_empty_table_and_no_file_has_a_name(tmp_path):
    with Spool(tmp_path) as spool:
        spool.add("a", to_ipc(rows("a", "b", [])), b"")
        table = spool.table(["a"], {})
        assert list(tmp_path.iterdir()) == []
    assert (table.num_rows, table.schema) == (0, SCHEMA)


def test_receipts_are_joined_by_sequence_over_batches_and_queue_pairs_in_any_order(tmp_path):
    with Spool(tmp_path) as spool:
        spool.add("b", b"", to_ipc(receipts("a", "b", 2, [1], [T + 21]), RECEIPTS))
        spool.add("a", to_ipc(rows("a", "b", [1, 2, 1])), b"")
        spool.add("a", to_ipc(rows("a", "b", [2, 1, 2])), b"")
        spool.add("b", b"", to_ipc(receipts("a", "b", 1, [2, 0], [T + 12, T + 10]), RECEIPTS))
        table = spool.table(["a", "b"], {})
    # Sequences of the rows: qp 1: rows 0, 2, 4; qp 2: rows 1, 3, 5.
    assert table["received_ns"].to_pylist() == [T + 10, None, None, T + 21, T + 12, None]


def test_a_time_the_sender_knows_itself_is_kept(tmp_path):
    with Spool(tmp_path) as spool:
        spool.add("a", to_ipc(rows("a", "b", [1, 1], received=[T + 5, None])), b"")
        spool.add("b", b"", to_ipc(receipts("a", "b", 1, [0, 1], [T + 6, T + 7]), RECEIPTS))
        assert spool.table(["a", "b"], {})["received_ns"].to_pylist() == [T + 5, T + 7]


@pytest.mark.parametrize("by_receipt", [False, True])
def test_all_times_are_put_on_the_controllers_clock_each_by_the_clock_it_was_taken_with(tmp_path, by_receipt):
    with Spool(tmp_path) as spool:
        spool.add("a", to_ipc(rows("a", "b", [1], received=[None if by_receipt else T + 90])), b"")
        if by_receipt:
            spool.add("b", b"", to_ipc(receipts("a", "b", 1, [0], [T + 90]), RECEIPTS))
        [row] = spool.table(["a", "b"], {"a": 100, "b": -7}).to_pylist()
    assert [row[name] - T for name in ("intended_ns", "posted_ns", "completed_ns")] == [-100, -100, 400]
    assert row["received_ns"] == T + 97
    assert row["echoed_ns"] is None


def test_an_agent_with_another_schema_is_named(tmp_path):
    other = pa.table({"host": ["a"]})
    with Spool(tmp_path) as spool:
        spool.add("a", to_ipc(other, other.schema), b"")
        with pytest.raises(LabError, match="a: the agent sent rows of another schema than ours; install the same"):
            spool.table(["a"], {})


def test_rows_that_are_no_arrow_are_named(tmp_path):
    with Spool(tmp_path) as spool:
        spool.add("a", b"nonsense", b"")
        with pytest.raises(LabError, match="a: the agent sent rows that cannot be read"):
            spool.table(["a"], {})


def test_a_full_disk_is_one_line_with_the_folder(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with Spool(tmp_path) as spool:
        spool.add("b", b"", to_ipc(receipts("a", "b", 1, [0], [T]), RECEIPTS))
        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(LabError, match=rf"controller: {tmp_path}: the samples .* kept there: No space left"):
            spool.table(["a"], {})


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2), st.integers(0, 20_000)), unique=True, min_size=1),
    st.randoms(),
)
def test_every_receipt_is_found_again_and_nothing_else(noted, random):
    """Against a dictionary; the sheet's pieces hold 4096 signals."""
    expected = {one: T + number for number, one in enumerate(noted)}
    shuffled = list(expected.items())
    random.shuffle(shuffled)
    with ReceiptSheet(tempfile.TemporaryFile()) as sheet:
        for part in (shuffled[::2], shuffled[1::2]):
            if part:
                columns = zip(
                    *((host, "peer", qp, sequence, 1, time) for (host, qp, sequence), time in part), strict=True
                )
                table = pa.table(dict(zip(RECEIPTS.names, columns, strict=True)), schema=RECEIPTS)
                sheet.add(table.to_batches()[0])
        for host in "ab":
            for qp in range(3):
                found = sheet.times(host, qp, 0, 20_001)
                wanted = np.full(20_001, NEVER)
                for (of, its_qp, sequence), time_ns in expected.items():
                    if (of, its_qp) == (host, qp):
                        wanted[sequence] = time_ns
                np.testing.assert_array_equal(found, wanted)


LOOPS = tuple(Stream(peer="b", qp=qp, size_bytes=4096, duration_ns=1) for qp in (1, 2))
STREAMS = TrialLoad(transfers={"a": (), "b": ()}, streams={"a": LOOPS}, seed=1)


def test_a_stream_without_rows_is_missing_and_one_with_many_is_not_too_much():
    check_complete(rows("a", "b", [1, 2, 1, 1]), STREAMS)
    with pytest.raises(TrialError, match="a: no sample of the stream to b on queue pair 2"):
        check_complete(rows("a", "b", [1, 1]), STREAMS)
    with pytest.raises(TrialError, match="a: a sample too many of the transfer of 4096 bytes to b on queue pair 3"):
        check_complete(rows("a", "b", [1, 2, 3]), STREAMS)


def test_a_stream_may_end_unfinished_only_where_the_load_says_so():
    late = pa.concat_tables([rows("a", "b", [1, 2]), rows("a", "b", [1], status="timeout")])
    check_complete(late, dataclasses.replace(STREAMS, unfinished_ok=True))
    with pytest.raises(TrialError, match="queue pair 1 ended with status 'timeout'"):
        check_complete(late, STREAMS)
    with pytest.raises(TrialError, match="queue pair 1 ended with status 'flushed'"):
        check_complete(
            pa.concat_tables([rows("a", "b", [2]), rows("a", "b", [1], status="flushed")]),
            dataclasses.replace(STREAMS, unfinished_ok=True),
        )


def anonymous_bytes():
    [line] = [one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("RssAnon:")]
    return int(line.split()[1]) * 1024


class Peak:
    """The most anonymous memory of this process while a block runs."""

    def __enter__(self):
        self.bytes, self.ended = anonymous_bytes(), threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while not self.ended.wait(0.005):
            self.bytes = max(self.bytes, anonymous_bytes())

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def streamed(folder, messages, rows_a_message=20_000):
    """Run a trial whose sender brings so many messages, its receiver as many receipts; return the peak of memory."""
    lab = Lab(make_keys(folder / f"keys{messages}"))
    samples = to_ipc(rows("a", "b", np.resize([1, 2], rows_a_message)))

    def sent(request):
        for _ in range(messages):
            yield agent_pb2.SampleBatch(arrow=samples)

    def seen(request):
        for number in range(messages):
            for qp in (1, 2):
                first, count = number * rows_a_message // 2, rows_a_message // 2
                times = T + np.arange(first, first + count)
                noted = receipts("a", "b", qp, np.arange(first, first + count), times)
                yield agent_pb2.SampleBatch(receipts=to_ipc(noted, RECEIPTS))

    try:
        lab.add("a", batches=sent)
        lab.add("b", batches=seen)
        with Coordinator(lab.addresses(), spool=folder) as coordinator, Peak() as peak:
            trial = coordinator.run_trial("t", STREAMS, lead_ns=0)
            assert trial.table.num_rows == messages * rows_a_message
            assert trial.table["received_ns"].null_count == 0
            assert trial.table["received_ns"][-1].as_py() == T + messages * rows_a_message // 2 - 1
        assert list(folder.glob("*.arrow")) == []
        return peak.bytes
    finally:
        lab.close()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length_of_a_trial(tmp_path):
    streamed(tmp_path, 4)  # what is loaded once
    short = streamed(tmp_path, 10)
    long = streamed(tmp_path, LONG_TRIAL_MESSAGES)
    # A row has about 150 bytes: those of 150 messages would be 450 MB.
    assert long - short < 60e6
