"""Packed rows become Arrow batches: the same values, whole columns at a time."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from aibench_lib.worker.agent.batches import Batches
from aibench_lib.worker.samples import RECEIPTS, SCHEMA, from_ipc
from aibench_lib.worker.transports.rows import NEVER, RETRIES, STATUSES, Rows
from aibench_lib.worker.transports.transport import Message, Sender, SendQueue

SENDS = [
    SendQueue(
        peer="decode1", qp=4, priority=3, operation="write_with_imm", messages=(Message(size_bytes=1, offset_ns=0),)
    ),
    SendQueue(peer="decode2", qp=2, priority=0, operation="read", messages=(Message(size_bytes=1, offset_ns=0),)),
]
RECEIVES = [Sender(host="prefill2", qp=9, address=b""), Sender(host="prefill3", qp=1, address=b"")]
TIMES = st.integers(0, 2**63 - 1)


def batches():
    return Batches("prefill1", "tcp", "realtime", SENDS, RECEIVES)


def blocks(write):
    written = {"samples": [], "receipts": []}
    rows = Rows(lambda kind, block: written[kind].append(block))
    write(rows)
    rows.close()
    return written


@given(
    st.lists(
        st.tuples(
            st.integers(0, 1),
            st.integers(1, 2**32 - 1),
            st.integers(0, 2**62),
            TIMES,
            *[TIMES | st.just(NEVER)] * 4,
            st.integers(0, len(STATUSES) - 1),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_every_value_of_a_row_is_in_its_column(rows):
    def write(into):
        for row in rows:
            into.sample(*row)

    table = from_ipc(batches().samples(blocks(write)["samples"]))
    assert table.schema == SCHEMA
    for row, made in zip(rows, table.to_pylist(), strict=True):
        place, operations, size, intended, *times, status = row
        queue = SENDS[place]
        assert (made["peer"], made["qp"], made["priority"], made["operation"]) == (
            queue.peer,
            queue.qp,
            queue.priority,
            queue.operation,
        )
        assert (made["operations"], made["size_bytes"], made["intended_ns"]) == (operations, size, intended)
        assert [made[name] for name in ("posted_ns", "completed_ns", "received_ns", "echoed_ns")] == [
            None if time == NEVER else time for time in times
        ]
        assert made["status"] == STATUSES[status]
        assert (made["host"], made["clock"], made["transport"]) == ("prefill1", "realtime", "tcp")


def test_rows_of_many_blocks_stay_in_their_order():
    def write(into):
        for number in range(3000):
            into.sample(0, 1, number, 0, 0, 0)

    written = blocks(write)["samples"]
    assert len(written) == 3  # 1024 rows a block
    assert from_ipc(batches().samples(written))["size_bytes"].to_pylist() == list(range(3000))


def test_a_receipt_names_the_host_that_sent_and_this_one_as_its_peer():
    written = blocks(lambda into: (into.receipt(1, 7, 100, 5), into.receipt(0, 8, 200, 6)))["receipts"]
    table = from_ipc(batches().receipts(written))
    assert table.schema == RECEIPTS
    assert table.to_pylist() == [
        {"host": "prefill3", "peer": "prefill1", "qp": 1, "sequence": 7, "size_bytes": 100, "received_ns": 5},
        {"host": "prefill2", "peer": "prefill1", "qp": 9, "sequence": 8, "size_bytes": 200, "received_ns": 6},
    ]


def test_a_status_is_a_word():
    written = blocks(lambda into: into.sample(0, 1, 1, 0, 0, NEVER, status=RETRIES))["samples"]
    assert from_ipc(batches().samples(written))["status"].to_pylist() == ["retries exceeded"]


def test_an_agent_does_not_import_what_only_the_controller_needs():
    program = (
        "import sys, aibench_lib.worker.agent.__main__, aibench_lib.worker.agent.service\n"
        "from aibench_lib.worker.agent.batches import Batches\n"
        "from aibench_lib.worker.transports.rows import RECEIPT, SAMPLE\n"
        "from aibench_lib.worker.transports.transport import Sender, SendQueue\n"
        "queue = SendQueue(peer='b', qp=1, priority=3, operation='write')\n"
        "made = Batches('a', 'tcp', 'realtime', [queue], [Sender(host='b', qp=1, address=b'')])\n"
        "made.samples([SAMPLE.pack(0, 1, 2, 3, 4, 5, -1, -1, 0, 0)])\n"
        "made.receipts([RECEIPT.pack(0, 0, 1, 2, 3)])\n"
        "print(sorted({'pandas', 'scipy', 'numba', 'yaml', 'cryptography', 'asyncssh'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"
