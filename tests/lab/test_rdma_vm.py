"""The verbs transport on real queue pairs: soft-RoCE devices in a guest that QEMU emulates.  See docs/rdma.md."""

import itertools
import json
import re
from collections import Counter

import pytest
from rdma_vm import machine, packages
from rdma_vm.guest.cases import CASES

from aibench_lib.worker.transports import rows
from aibench_lib.worker.transports.transport import OPERATIONS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SIGNALLED = ("write_with_imm", "send")
WRITE_FIRST, WRITE_MIDDLE, WRITE_LAST, WRITE_LAST_IMM, WRITE_ONLY, WRITE_ONLY_IMM = range(0x06, 0x0C)
SEND_ONLY_IMM = 0x05
RECEIVED, RECEIVED_WRITE = 128, 129  # IBV_WC_RECV and IBV_WC_RECV_RDMA_WITH_IMM
WITH_IMM = 2  # IBV_WC_WITH_IMM


def found_by(job, folder):
    """Run a job in a guest and return what it has found."""
    try:
        done = machine.run(f"python3 -m rdma_vm.guest.{job}", folder=folder, timeout_s=900)
    except packages.CannotBuildError as error:
        pytest.skip(f"no guest with soft-RoCE: {error}")
    assert done.status == 0, f"the guest's job {job} ended with {done.status}:\n{done.log}"
    return json.loads((folder / "results.json").read_text())


@pytest.fixture(scope="module")
def operations(tmp_path_factory):
    return found_by("operations", tmp_path_factory.mktemp("operations"))


@pytest.fixture(scope="module")
def faults(tmp_path_factory):
    return found_by("faults", tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="module")
def marking(tmp_path_factory):
    return found_by("marking", tmp_path_factory.mktemp("marking"))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_payload_arrives_as_it_was_sent(operations, operation, case):
    qps, sizes = CASES[case]
    found = operations[f"{operation}, {case}"]
    assert found["errors"] == {}
    assert found["statuses"] == [rows.OK] * (qps * len(sizes))
    assert found["bytes"] == sorted(sizes * qps)
    assert found["states"] == ["RTS"] * (2 * qps)
    assert found["label"] == "soft-roce"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_receiver_has_a_receipt_of_every_message_that_signals(operations, operation, case):
    qps, sizes = CASES[case]
    signalled = [[qp, number, size] for qp in range(qps) for number, size in enumerate(sizes)]
    assert operations[f"{operation}, {case}"]["receipts"] == (signalled if operation in SIGNALLED else [])


@pytest.mark.parametrize("operation", OPERATIONS)
def test_one_changed_byte_is_noticed_and_told_of_its_queue_pair(operations, operation):
    good, bad = rows.OK, rows.DIFFERS
    # The last row of a queue pair says what the memory held in the end.
    assert operations[f"spoilt {operation}"] == [[0, good], [0, good], [1, good], [1, bad]]


def test_only_what_signals_completes_at_the_receiver_and_with_the_opcode_of_its_kind(operations):
    # Messages of 64 bytes and of 9 MiB, which is a request of 8 MiB and one of 1 MiB; the end is a word of no bytes.
    def seen(operation):
        return [
            (opcode, size, bool(flags & WITH_IMM)) for opcode, size, flags in operations[f"completions of {operation}"]
        ]

    end = (RECEIVED, 0, True)
    assert seen("write_with_imm") == [(RECEIVED_WRITE, 64, True), (RECEIVED_WRITE, 1 << 20, True), end]
    assert seen("write") == seen("read") == [end]
    assert seen("send") == [(RECEIVED, 64, True), (RECEIVED, 8 << 20, False), (RECEIVED, 1 << 20, True), end]


@pytest.mark.parametrize("operation", SIGNALLED)
def test_receives_are_posted_again_before_a_sender_can_outrun_them(operations, operation):
    found = operations[f"many {operation}"]
    assert found["statuses"] == [rows.OK]
    assert found["rows"] > 128, "fewer rows than there are receives at first: this shows nothing"
    assert found["sequences"] == list(range(found["rows"]))
    assert operations["growth"]["rcvd_rnr_err"] == operations["growth"]["send_rnr_err"] == 0


def test_the_devices_counters_grow(operations):
    growth = operations["growth"]
    sent = operations["many write_with_imm"]["rows"] + operations["many send"]["rows"]
    assert growth["sent_pkts"] >= sent  # a packet each, and their acknowledgements and words
    assert growth["rcvd_pkts"] > 0
    # SENDs, and a word at each end's end; a WRITE is none
    assert growth["rdma_sends"] >= operations["many send"]["rows"]


def test_an_echo_brings_the_receivers_stamp_and_comes_after_it(operations):
    echoes = operations["echoes"]
    assert {row[0] for row in echoes} == {0, 1}
    for _, operations_of_row, size, intended, posted, completed, received, echoed, status, _ in echoes:
        assert (operations_of_row, size, status) == (2, 16_384, rows.OK)
        assert intended == posted
        assert posted < received < echoed  # one clock: both hosts are in one guest
        assert posted < completed


def test_a_paced_loop_intends_its_rows_in_even_steps(operations):
    intended = [row[3] for row in operations["paced"]]
    # 65536 bytes at 8 Mbit/s are 65.536 ms, so 16 of them begin in a second, or fewer on a busy machine
    assert {later - earlier for earlier, later in itertools.pairwise(intended)} == {65_536_000}
    assert 2 < len(intended) <= 16
    assert all(row[4] >= row[3] for row in operations["paced"])


def test_a_host_can_send_and_receive_at_once(operations):
    found = operations["both ways"]
    assert (found["rows"], found["statuses"], found["sequences"], found["errors"]) == (2, [rows.OK], [0], {})
    assert found["states"] == dict.fromkeys(("h2/0", "from h1/0", "h1/0", "from h2/0"), "RTS")


def test_on_the_wire_are_the_opcodes_of_the_operations(operations):
    packets = Counter()
    for _, _, _, opcode, count in operations["wire"]["packets"]:
        packets[opcode] += count
    # 4 queue pairs; packets of 4096 bytes, so 65536 bytes are 16 of them; the end of each is a SEND of no bytes.
    assert packets == {
        WRITE_ONLY: 4 * 1,
        WRITE_ONLY_IMM: 4 * 2,
        WRITE_FIRST: 4 * 2,
        WRITE_MIDDLE: 4 * 2 * 14,
        WRITE_LAST: 4 * 1,
        WRITE_LAST_IMM: 4 * 1,
        SEND_ONLY_IMM: 4 * 2,
    }


def test_on_the_wire_an_immediate_says_queue_pair_and_row(operations):
    # Rows 0 and 2 of each queue pair are one packet long.
    assert sorted(operations["wire"]["immediates"]) == [qp << 24 | row for qp in range(4) for row in (0, 2)]


def test_on_the_wire_is_the_dscp_of_the_priority_and_ect_0(operations):
    assert {packet[2] for packet in operations["wire"]["packets"]} == {26 << 2 | 0b10}
    # DSCP 40 is the usual one of priority 5, 46 what its host's options say in the other trial
    assert {packet[2] for packet in operations["wire of priority 5"]["packets"]} == {40 << 2 | 0b10, 46 << 2 | 0b10}


def test_each_queue_pair_has_an_udp_source_port_of_its_own(operations):
    pairs = operations["wire"]["queue_pairs"]
    assert len({port for port, _ in pairs}) == len({pair for _, pair in pairs}) == len(pairs) == 8


def test_nothing_stays_registered_after_a_trial(operations, faults):
    assert operations["registered after"] == operations["registered before"] == faults["registered after"]
    assert re.findall(r"\bmr (\d+)", operations["registered after"]) == ["0", "0"]


def test_a_congested_switch_marks_and_the_receiving_host_counts_it(marking):
    found = marking["capable"]
    assert found["marked"] > 0
    assert found["dropped"] == 0
    assert found["seen"] == found["marked"]
    assert found["statuses"] == [rows.OK] * 2


def test_a_peer_that_posts_no_receives_is_named_and_does_not_hang_the_sender(faults):
    found = faults["no receives"]
    assert found["statuses"] == [rows.NOT_READY, rows.FLUSHED, rows.FLUSHED]
    assert "the peer never posted receives" in faults["no receives for the end"]["errors"]["h1"]


def test_the_state_of_a_failed_queue_pair_is_asked_and_not_remembered(faults):
    found = faults["no receives"]
    assert found["states"]["h2/0"] == "ERR"
    assert found["remembered"] == "RTS", "the library now knows better; docs/rdma.md says that it does not"


def test_a_queue_pair_in_err_says_so_and_leaves_its_neighbour_alone(faults):
    found = faults["queue pair in ERR"]
    assert found["statuses"] == [rows.OK, rows.FLUSHED]
    assert (found["states"]["h2/0"], found["states"]["h2/1"]) == ("RTS", "ERR")


def test_memory_opens_to_its_own_key_alone(faults):
    found = faults["wrong key"]
    assert found["statuses"] == [rows.REMOTE_ACCESS]
    assert found["states"] == {"h2/0": "ERR", "from h1/0": "ERR"}


def test_memory_that_may_be_written_cannot_be_read(faults):
    found = faults["read of what may be written"]
    assert found["statuses"] == [rows.OTHER]  # "remote invalid request": the queue pair takes no READs at all
    assert found["states"]["from h1/0"] == "ERR"


def test_a_path_that_is_cut_costs_its_retries_and_says_so(faults):
    assert faults["path cut"]["statuses"] == [rows.RETRIES, rows.FLUSHED]


def test_what_is_not_complete_at_the_deadline_has_a_row_that_says_timeout(faults):
    found = faults["no answer before the deadline"]
    assert found["statuses"] == [rows.TIMEOUT] * 4  # 16 messages under way, 4 a row
    assert found["errors"] == {}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("little memory", "this process may lock 65536 bytes of memory: set LimitMEMLOCK=infinity"),
        ("no such address", "no RDMA device has the address 10.9.9.9"),
        ("no GID", "rxe1 has no RoCE v2 GID of 10.9.9.9"),
        ("too much to compare", "use fewer queue pairs, or smaller messages"),
        ("echo of a write", "nothing that it could answer"),
        ("too deep", "use less depth, or fewer queue pairs"),
        ("no rights", "has this user access to /dev/infiniband"),
    ],
)
def test_a_host_that_is_not_fit_is_refused_with_what_to_do(faults, wrong, said):
    assert said in faults[wrong]
    assert "\n" not in faults[wrong]
