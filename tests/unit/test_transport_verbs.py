"""What the verbs transport would post: chunks, signals, credits, immediates; soft-RoCE checks no device's limits."""

import socket
import sys
from types import SimpleNamespace

import fake_pyverbs
import pytest
from fake_pyverbs import RECEIVED, RECEIVED_WRITE, SIGNALED, WITH_IMM, Pair

from aibench_lib.worker.transports import rows
from aibench_lib.worker.transports.rows import SAMPLE, Rows
from aibench_lib.worker.transports.transport import Loop, Message, Sender, SendQueue, TransportError

MIB = 1 << 20
GB = 10**9
WRITE, WRITE_WITH_IMM, SEND, SEND_WITH_IMM, READ = range(5)


@pytest.fixture
def verbs(monkeypatch):
    yield fake_pyverbs.install(monkeypatch)
    for name in [name for name in sys.modules if name.startswith(fake_pyverbs.PREFIX)]:
        del sys.modules[name]  # those that know the false library


def path(verbs, operation, chunk=8 * MIB):
    return verbs("work").Path(
        operation=operation,
        address=1 << 40,
        local_key=5,
        remote_address=1 << 41,
        remote_key=0 if operation == "send" else 6,
        chunk_bytes=chunk,
        inline_bytes=0,
    )


def device(chunk=8 * MIB):
    return SimpleNamespace(chunk_bytes=chunk)


def queue_of(operation, **how):
    return SendQueue(peer="h2", qp=3, priority=3, operation=operation, **how)


def loop_of(**how):
    usual = {
        "size_bytes": 4096,
        "depth": 8,
        "batch": 2,
        "offset_ns": 0,
        "duration_ns": GB,
        "rate_bps": 0,
        "echo": False,
    }
    return Loop(**{**usual, **how})


def outgoing(verbs, queue, pair, credits=0, chunk=8 * MIB, rows_to=None):
    demand = verbs("plan").Demand(queue, device(chunk))
    verbs("sending").now_ns = lambda: 1  # posting takes no time; the module is thrown away after the test
    one = verbs("sending").Outgoing(
        place=0,
        queue=queue,
        pair=pair,
        path=path(verbs, queue.operation, chunk),
        credits=credits,
        most=demand.outstanding,
        room=demand.sends - verbs("plan").WORDS,
        receive=verbs("work").Receives(1, 1 << 40, 0, 5),
        echoes=None,
        first_echo=0,
        region=None,
        pattern="",
    )
    one.start(0, rows_to or Rows(lambda _kind, _block: None))
    return one


def word(kind, number):
    return SimpleNamespace(
        status=0, opcode=RECEIVED, byte_len=0, wc_flags=WITH_IMM, imm_data=socket.htonl(kind << 28 | number)
    )


@pytest.mark.parametrize("flat", [True, False])
def test_the_constants_are_found_in_old_and_new_pyverbs(monkeypatch, flat):
    library = fake_pyverbs.install(monkeypatch, flat=flat)("library")
    assert (library.WRITE_WITH_IMM, library.READ, library.RECEIVED_WRITE) == (WRITE_WITH_IMM, READ, RECEIVED_WRITE)
    assert library.STATES[library.ERR] == "ERR"
    for name in [name for name in sys.modules if name.startswith(fake_pyverbs.PREFIX)]:
        del sys.modules[name]


def test_a_gigabyte_is_split_and_only_its_end_signals(verbs):
    pair = Pair(128)
    pair.post_send(verbs("work").Chain(path(verbs, "write_with_imm"), GB, 1).head)
    # 10**9 / 2**23 = 119.2
    assert len(pair.posted) == 120
    assert {request.opcode for request in pair.posted[:-1]} == {WRITE}
    assert [request.send_flags & SIGNALED for request in pair.posted] == [0] * 119 + [SIGNALED]
    assert pair.posted[-1].opcode == WRITE_WITH_IMM
    place = 0
    for request in pair.posted:
        assert (request.sge.addr, request.remote) == ((1 << 40) + place, (6, (1 << 41) + place))
        place += request.sge.length
    assert place == GB


@pytest.mark.parametrize(("operation", "plain", "last"), [("write", 0, 0), ("read", 4, 4), ("send", 2, 3)])
def test_each_operation_has_its_opcodes(verbs, operation, plain, last):
    pair = Pair(8)
    pair.post_send(verbs("work").Chain(path(verbs, operation, 4096), 8192, 2).head)
    assert [request.opcode for request in pair.posted] == [plain] * 3 + [last]


@pytest.mark.parametrize("batch", [1, 4, 8])
def test_a_loop_never_fills_its_send_queue_and_signals_within_half_of_it(verbs, batch):
    queue = queue_of("write", loop=loop_of(size_bytes=3 * MIB, batch=batch))
    demand = verbs("plan").Demand(queue, device(MIB))
    pair = Pair(demand.sends, MIB)
    one = outgoing(verbs, queue, pair, chunk=MIB)
    for turn in range(50):
        assert one.post(turn) == 0
        assert pair.room >= verbs("plan").WORDS
        one.sent(pair.complete(), turn)
    unsignalled = "".join("s" if request.send_flags & SIGNALED else "." for request in pair.posted).split("s")
    assert max(map(len, unsignalled)) < demand.sends / 2


def test_no_more_than_the_depth_is_outstanding(verbs):
    pair = Pair(100)
    one = outgoing(verbs, queue_of("write", loop=loop_of(depth=8, batch=2)), pair)
    one.post(0)
    assert len(pair.posted) == 8
    one.sent(pair.complete(), 1)
    one.post(1)
    assert len(pair.posted) == 10


def test_a_sender_without_credit_waits_for_the_peers_word(verbs):
    pair = Pair(100)
    one = outgoing(verbs, queue_of("write_with_imm", loop=loop_of(depth=8, batch=1)), pair, credits=3)
    one.post(0)
    for turn in range(3):
        one.sent(pair.complete(), turn)
        one.post(turn)
    assert len(pair.posted) == 3
    one.arrived(word(verbs("signals").CREDIT, 2), 4)
    one.post(4)
    assert len(pair.posted) == 5
    assert pair.receives == 1, "the receive that took the word is posted again"


def test_scheduled_messages_wait_for_their_time_and_for_room(verbs):
    messages = tuple(Message(size_bytes=100 * MIB, offset_ns=offset) for offset in (0, 0, 0, 7000))
    queue = queue_of("write", messages=messages)
    pair = Pair(verbs("plan").Demand(queue, device()).sends)
    one = outgoing(verbs, queue, pair)
    # 100 MiB are 13 requests of at most 8 MiB, and 52 find room: all but the one whose time has not come
    assert one.post(0) == 7000
    assert len(pair.posted) == 39
    assert one.post(7000) == 0
    assert len(pair.posted) == 52


def test_the_end_is_said_once_all_has_completed(verbs):
    pair = Pair(10)
    one = outgoing(verbs, queue_of("write", messages=(Message(size_bytes=1, offset_ns=0),)), pair)
    one.post(0)
    assert [request.opcode for request in pair.posted] == [WRITE]
    one.sent(pair.complete(), 5)
    one.post(5)
    assert [request.opcode for request in pair.posted] == [WRITE, SEND_WITH_IMM]
    assert not one.done
    one.sent(pair.complete(), 6)
    assert one.done


def test_a_failed_queue_pair_has_a_row_of_every_message_it_was_to_send(verbs):
    blocks = []
    into = Rows(lambda _kind, block: blocks.append(block))
    messages = tuple(Message(size_bytes=8, offset_ns=offset) for offset in (0, 0, GB))
    one = outgoing(verbs, queue_of("write", messages=messages), Pair(10), rows_to=into)
    one.post(0)
    one.sent(SimpleNamespace(status=13, qp_num=17), 1)
    into.close()
    found = [(row[3], row[4] > 0, row[8]) for row in SAMPLE.iter_unpack(b"".join(blocks))]
    assert found == [(0, True, rows.NOT_READY), (0, True, rows.FLUSHED), (GB, False, rows.FLUSHED)]
    assert one.done


def incoming(verbs, pair, receives, outstanding=4):
    address = verbs("address")
    end = address.End(gid="::", number=1, packet_number=1, mtu=5, reads=1, chunk_bytes=1)
    peer = address.SendingEnd(
        end=end,
        operation="write_with_imm",
        rows=[(64, 2), (128, 0)],
        largest_bytes=128,
        outstanding=outstanding,
        receives=1,
        echo=False,
        traffic_class=0,
        priority=0,
        pattern="",
    )
    one = verbs("receiving").Incoming(
        place=0,
        sender=Sender(host="h1", qp=3, address=b""),
        peer=peer,
        pair=pair,
        receives=verbs("work").Receives(receives, 1, 0, 5),
        region=None,
        desk=SimpleNamespace(address=1),
        first_echo=0,
        local_key=5,
    )
    return one, peer


def signal(sequence):
    return SimpleNamespace(
        status=0, opcode=RECEIVED_WRITE, byte_len=64, wc_flags=WITH_IMM, imm_data=socket.htonl(3 << 24 | sequence)
    )


def test_receives_are_posted_again_and_credited_half_by_half(verbs):
    pair = Pair(10)
    one, _ = incoming(verbs, pair, 4)
    blocks = []
    into = Rows(lambda _kind, block: blocks.append(block))
    one.start(into)
    for sequence in range(7):
        one.arrived(signal(sequence), sequence)
    assert pair.receives == 4
    assert [socket.ntohl(request.imm_data) for request in pair.posted] == [verbs("signals").CREDIT << 28 | 4]
    into.close()
    sizes = [row[3] for row in rows.RECEIPT.iter_unpack(b"".join(blocks))]
    assert sizes == [64, 64, 128, 128, 128, 128, 128]
    one.arrived(word(verbs("signals").END, 7), 9)
    assert (one.done, one.failure) == (False, None)
    one.sent(SimpleNamespace(status=0), 10)
    assert one.done


def test_a_signal_that_is_lost_is_noticed(verbs):
    one, _ = incoming(verbs, Pair(10), 64)
    one.start(Rows(lambda _kind, _block: None))
    one.arrived(signal(0), 0)
    one.arrived(signal(2), 1)
    assert "signal 2 has arrived where 1 was due" in str(one.failure)


def test_row_numbers_wrap_with_24_bits(verbs):
    signals = verbs("signals")
    immediate = signals.of_row(0x103, (1 << 24) + 5)
    assert socket.ntohl(immediate) == 0x03000005
    assert signals.sequence_of(SimpleNamespace(imm_data=immediate)) == 5


def test_the_receives_of_a_peer_are_twice_what_may_be_under_way(verbs):
    _, peer = incoming(verbs, Pair(1), 1, outstanding=100)
    assert verbs("receiving").half_of_receives(peer) == 200


def test_queue_pairs_that_want_too_much_memory_share_it_unless_payloads_are_compared(verbs, monkeypatch):
    memory = verbs("memory")
    monkeypatch.setattr(memory, "SHARED_ABOVE_BYTES", MIB)
    apart = memory.regions([MIB // 2, MIB // 2], apart=True)
    assert apart[0] is not apart[1]
    shared = memory.regions([MIB // 2, MIB], apart=False)
    assert shared[0] is shared[1]
    assert shared[0].size_bytes == MIB
    with pytest.raises(TransportError, match="cannot be compared"):
        memory.regions([MIB // 2, MIB], apart=True)


def test_a_region_knows_its_pattern_and_misses_no_byte(verbs):
    region = verbs("memory").Region(200_000)
    region.fill("7/h1/0")
    assert not region.differs("7/h1/0", 200_000)
    assert region.differs("7/h1/1", 200_000)
    region.view[199_999] ^= 1
    assert region.differs("7/h1/0", 200_000)
    assert not region.differs("7/h1/0", 199_999)


@pytest.mark.parametrize("data", [b"\x80no JSON", b"[1]", b'{"version": 1, "end": {}}'])
def test_the_end_of_another_transport_is_refused(verbs, data):
    with pytest.raises(TransportError, match="do both hosts use the same transport"):
        verbs("address").receiving_end(data)


def test_a_peer_of_another_release_is_refused(verbs):
    address = verbs("address")
    end = address.End(gid="::", number=1, packet_number=1, mtu=5, reads=1, chunk_bytes=1)
    data = address.encode(address.ReceivingEnd(end=end, receives=2)).replace(b'"version": 1', b'"version": 2')
    with pytest.raises(TransportError, match="redeploy"):
        address.receiving_end(data)


def test_completion_statuses_become_those_of_rows(verbs):
    of = verbs("errors").row_status
    assert [of(status) for status in (0, 4, 5, 10, 12, 13, 2)] == [
        rows.OK,
        rows.LOCAL_PROTECTION,
        rows.FLUSHED,
        rows.REMOTE_ACCESS,
        rows.RETRIES,
        rows.NOT_READY,
        rows.OTHER,
    ]
