"""The tcp transport with real connections between processes, on loopback."""

import multiprocessing
import os
import resource
import socket
import threading
import time
from pathlib import Path

import pytest
import transport_pair
from transport_pair import SECOND, Host, trial

from aibench_lib.worker.transports import clock
from aibench_lib.worker.transports.rows import NEVER, SAMPLE, TIMEOUT, Rows
from aibench_lib.worker.transports.tcp import Tcp, dialling, payload, transport
from aibench_lib.worker.transports.tcp.wire import GREETING, MAGIC, ReceiverAddress
from aibench_lib.worker.transports.transport import (
    OPERATIONS,
    Loop,
    Message,
    Options,
    Sender,
    SendQueue,
    TransportError,
)

pytestmark = pytest.mark.timeout(60)

MS, US = 1_000_000, 1_000
KIB, MIB = 1 << 10, 1 << 20


def scheduled(qp, *messages, peer="b", operation="write_with_imm", priority=3):
    made = tuple(Message(size_bytes=size, offset_ns=offset) for size, offset in messages)
    return SendQueue(peer=peer, qp=qp, priority=priority, operation=operation, messages=made)


def looped(qp, size, *, seconds=0.2, depth=1, batch=1, rate=0, offset=0, peer="b", operation="write_with_imm"):
    loop = Loop(
        size_bytes=size,
        depth=depth,
        batch=batch,
        offset_ns=offset,
        duration_ns=int(seconds * SECOND),
        rate_bps=rate,
        echo=False,
    )
    return SendQueue(peer=peer, qp=qp, priority=3, operation=operation, loop=loop)


def assert_whole(rows):
    """Every row has arrived, in the order of its stamps."""
    assert rows
    for row in rows:
        assert row.status == "ok"
        assert row.intended_ns <= row.posted_ns <= row.completed_ns == row.echoed_ns
        if row.received_ns != NEVER:  # one machine: one clock, read anew by each process
            assert row.posted_ns - 50 * US <= row.received_ns <= row.completed_ns + 50 * US


@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_messages_of_all_sizes_arrive_whole_in_their_order(operation, verify):
    sizes = [1, 8, 4095, 4096, 4097, 64 * KIB, 65537, MIB, 3 * MIB + 1, 5, 2 * MIB, 2 * MIB + 1, 300 * KIB, 7]
    queue = scheduled(5, *((size, number * 100 * US) for number, size in enumerate(sizes)), operation=operation)
    rows = trial({"a": [queue]}, verify=verify)["a"].samples
    assert [row.size_bytes for row in rows] == sizes
    assert_whole(rows)
    assert [row.intended_ns - rows[0].intended_ns for row in rows] == [n * 100 * US for n in range(len(sizes))]
    assert all((row.received_ns == NEVER) == (operation == "read") for row in rows)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("operation", ["write", "read"])
def test_both_hosts_send_on_many_queue_pairs_at_once(operation, threads, monkeypatch):
    monkeypatch.setattr(transport, "_MOST_THREADS", threads)
    monkeypatch.setattr(os, "cpu_count", lambda: 2 * threads)
    sizes = [8, 64 * KIB, MIB, 100]
    loads = {
        name: [looped(qp, size, depth=4, peer=peer, operation=operation) for qp, size in enumerate(sizes)]
        for name, peer in (("a", "b"), ("b", "a"))
    }
    for outcome in trial(loads, verify=True).values():
        assert_whole(outcome.samples)
        assert {row.place for row in outcome.samples} == set(range(len(sizes)))
        for row in outcome.samples:
            assert row.size_bytes == sizes[row.place]


def test_a_host_may_send_to_itself():
    outcome = trial({"a": [scheduled(0, (MIB, 0), peer="a")]})["a"]
    assert_whole(outcome.samples)


@pytest.mark.parametrize("operation", ["send", "read"])
@pytest.mark.parametrize(("size", "depth", "batch"), [(64, 16, 16), (64, 5, 4), (5000, 7, 3), (100 * KIB, 4, 4)])
def test_a_row_of_a_loop_stands_for_a_batch_and_the_last_one_for_what_is_left(size, depth, batch, operation):
    queue = looped(0, size, depth=depth, batch=batch, operation=operation)
    rows = trial({"a": [queue]}, verify=True)["a"].samples
    assert_whole(rows)
    assert {row.operations for row in rows[:-1]} == {batch}
    assert 1 <= rows[-1].operations <= batch
    assert all(row.size_bytes == row.operations * size for row in rows)


def test_a_paced_loop_that_ends_within_a_batch_has_a_row_for_the_rest():
    # 1000 B at 80 kbit/s: one each 100 ms, at 0, 100 and 200 ms
    rows = trial({"a": [looped(0, 1000, seconds=0.29, depth=2, batch=2, rate=80_000)]})["a"].samples
    assert [row.operations for row in rows] == [2, 1]
    assert_whole(rows)


def test_a_loop_posts_nothing_after_its_duration():
    queue = looped(0, 64 * KIB, seconds=0.1, depth=8, batch=2, offset=50 * MS)
    with Host("a") as a, Host("b") as b:
        hosts = {"a": a, "b": b}
        transport_pair.connect(hosts, {"a": [queue]})
        t0_ns = transport_pair.start(hosts, 10)
        rows = transport_pair.finish(hosts, 10)["a"].samples
    assert_whole(rows)
    assert min(row.posted_ns for row in rows) >= t0_ns + 50 * MS
    assert max(row.posted_ns for row in rows) <= t0_ns + 150 * MS


@pytest.mark.parametrize(("size", "rate"), [(1000, 8_000_000), (64 * KIB, 500_000_000), (MIB, 1_000_000_000)])
def test_a_paced_loop_keeps_its_rate_and_does_not_exceed_it(size, rate):
    rows = trial({"a": [looped(0, size, seconds=0.5, depth=16, rate=rate)]})["a"].samples
    assert_whole(rows)
    offered = sum(row.size_bytes for row in rows) * 8
    # the first message is posted at once, so one more than rate times time; a busy machine may lose many
    assert 0.3 * rate * 0.5 <= offered <= 1.001 * rate * 0.5 + size * 8


def test_a_large_paced_message_is_not_sent_in_one_burst():
    # 10 MiB at 200 Mbit/s: 0.42 s a message.  Unpaced it takes some milliseconds.
    row = trial({"a": [looped(0, 10 * MIB, seconds=0.1, rate=200_000_000)]})["a"].samples[0]
    assert row.completed_ns - row.posted_ns > 0.25 * SECOND


def test_a_schedule_is_kept_though_the_receiver_stalls_and_the_delay_shows():
    queue = scheduled(0, *((MIB, number * 10 * MS) for number in range(40)))
    with Host("a") as a, Host("b") as b:
        hosts = {"a": a, "b": b}
        transport_pair.connect(hosts, {"a": [queue]})
        transport_pair.start(hosts, 20)
        time.sleep(0.1)
        b.pause()
        time.sleep(0.5)
        b.go_on()
        rows = transport_pair.finish(hosts, 20)["a"].samples
    assert len(rows) == 40
    assert_whole(rows)
    late = sorted(row.posted_ns - row.intended_ns for row in rows)
    assert late[len(rows) // 2] < 50 * MS  # though nothing was taken for 500 ms
    latencies = [row.completed_ns - row.intended_ns for row in rows]
    assert sum(latency > 200 * MS for latency in latencies) >= 10  # those due in the first 300 ms of the stall
    assert min(latencies) < 200 * MS


def test_a_payload_that_differs_is_said_in_the_row_alone(monkeypatch):
    right = payload.Payload.body

    def wrong(self, key, sequence, size_bytes):
        return right(self, key, sequence + (sequence == 2), size_bytes)

    monkeypatch.setattr(payload.Payload, "body", wrong)  # of both ends; the comparing one does not call it
    queue = scheduled(0, *((200 * KIB, number * MS) for number in range(5)))
    for operation in ("write", "read"):
        queue = scheduled(0, *((200 * KIB, number * MS) for number in range(5)), operation=operation)
        rows = trial({"a": [queue]}, verify=True)["a"].samples
        assert [row.status for row in rows] == ["ok", "ok", "payload differs", "ok", "ok"]
        assert all(row.completed_ns > row.posted_ns for row in rows)


@pytest.mark.parametrize("operation", ["write", "read"])
def test_the_sending_host_decides_whether_payload_is_compared(operation):
    for verify in (True, False):
        with Host("a", verify=verify) as a, Host("b", verify=not verify) as b:
            hosts = {"a": a, "b": b}
            transport_pair.connect(hosts, {"a": [looped(0, 70 * KIB, operation=operation)]})
            transport_pair.start(hosts, 10)
            assert_whole(transport_pair.finish(hosts, 10)["a"].samples)


def test_hosts_with_other_seeds_are_found_out():
    with Host("a", verify=True, seed=1) as a, Host("b", verify=True, seed=2) as b:
        hosts = {"a": a, "b": b}
        transport_pair.connect(hosts, {"a": [scheduled(0, (8, 0))]})
        transport_pair.start(hosts, 10)
        assert [row.status for row in transport_pair.finish(hosts, 10)["a"].samples] == ["payload differs"]


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this kernel has no IPv6")
def test_hosts_may_have_ipv6_addresses():
    assert_whole(trial({"a": [looped(0, 64 * KIB)]}, address="::1")["a"].samples)


def test_payloads_of_other_queue_pairs_messages_and_seeds_differ():
    ours = payload.Payload(1)
    key = payload.key_of("a", 0)

    def content(seed, host, qp, sequence):
        return b"".join(payload.Payload(seed).body(payload.key_of(host, qp), sequence, 100_000))

    first = content(1, "a", 0, 0)
    assert len(first) == 100_000
    assert not ours.differs(bytearray(first), 0, len(first), ours.begin(key, 0))
    for other in [(2, "a", 0, 0), (1, "b", 0, 0), (1, "a", 1, 0), (1, "a", 0, 1)]:
        assert ours.differs(bytearray(content(*other)), 0, len(first), ours.begin(key, 0)), other
    flipped = bytearray(first)
    flipped[99_999] ^= 1
    assert ours.differs(flipped, 0, len(first), ours.begin(key, 0))


def test_a_peer_that_dies_within_a_message_leaves_rows_and_the_run_ends_at_once():
    queues = [scheduled(0, (1 << 40, 0), (8, MS), (8, 30 * SECOND)), looped(1, MIB, seconds=20, depth=2)]
    with Host("a") as a, Host("b") as b:
        hosts = {"a": a, "b": b}
        transport_pair.connect(hosts, {"a": queues})
        transport_pair.start(hosts, 40)
        time.sleep(0.5)
        b.kill()
        began = time.monotonic()
        rows = a.answer(30).samples
    assert time.monotonic() - began < 10
    assert [row.status for row in rows if row.place == 0] == ["other error", "other error", "flushed"]
    loop = [row.status for row in rows if row.place == 1]
    assert loop.count("other error") in (1, 2)
    assert all(row.completed_ns == NEVER for row in rows if row.status != "ok")


def test_a_sender_that_dies_does_not_hold_its_receiver():
    with Host("a") as a, Host("b") as b:
        hosts = {"a": a, "b": b}
        transport_pair.connect(hosts, {"a": [looped(0, MIB, seconds=30)]})
        transport_pair.start(hosts, 40)
        time.sleep(0.2)
        a.kill()
        assert b.answer(10).error == ""


def test_what_is_not_complete_at_the_deadline_has_timed_out():
    queues = [
        scheduled(0, (64, 0), (64 * MIB, 0), (64, 300 * MS)),
        looped(1, 4 * MIB, seconds=30, depth=2, offset=100 * MS),
    ]
    with Host("a") as a, Host("b") as b:
        hosts = {"a": a, "b": b}
        transport_pair.connect(hosts, {"a": queues})
        b.pause()
        t0_ns = time.time_ns() + 30 * MS
        a.tell("run", t0_ns, t0_ns + 250 * MS)
        outcome = a.answer(10)
        b.go_on()
    rows = outcome.samples
    assert 250 * MS <= outcome.finished_ns - t0_ns < 2 * SECOND
    assert [(row.status, row.posted_ns == NEVER) for row in rows if row.place == 0] == [
        ("timeout", False),
        ("timeout", False),
        ("timeout", True),
    ]
    assert [row.status for row in rows if row.place == 1] == ["timeout", "timeout"]
    assert all(row.completed_ns == row.received_ns == row.echoed_ns == NEVER for row in rows)


def test_a_connection_with_a_wrong_token_is_dropped_and_disturbs_nobody():
    with Host("a") as a, Host("b") as b:
        addresses = a.ask("prepare", [looped(0, 64 * KIB)])
        b.ask("prepare", [])
        answers = b.ask("accept", [Sender(host="a", qp=0, address=addresses[0])])
        a.ask("accept", [])
        where = ReceiverAddress.unpacked(answers["a", 0])
        silent = socket.create_connection((where.host, where.port))
        for greeting in (
            GREETING.pack(MAGIC, 0, bytes(16)),
            GREETING.pack(MAGIC, 1, addresses[0][:16]),
            GREETING.pack(b"aibench0", 0, addresses[0][:16]),
            GREETING.pack(MAGIC, 0xFFFFFFFF, where.token),
            b"GET / HTTP/1.1\r\nHost: somebody\r\n\r\n",
        ):
            with socket.create_connection((where.host, where.port)) as stranger:
                stranger.settimeout(5)
                stranger.sendall(greeting)
                assert _hung_up(stranger)
        a.ask("join", {0: answers["a", 0]})
        b.ask("join", {})
        hosts = {"a": a, "b": b}
        transport_pair.start(hosts, 10)
        assert_whole(transport_pair.finish(hosts, 10)["a"].samples)
        silent.close()


def _hung_up(connection):
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_nobody_can_dial_a_queue_pair_twice():
    with Host("a") as a, Host("b") as b:
        addresses = a.ask("prepare", [looped(0, 8), looped(1, 8)])
        senders = [Sender(host="a", qp=qp, address=addresses[qp]) for qp in (0, 1)]
        where = ReceiverAddress.unpacked(b.ask("accept", senders)["a", 0])
        greeting = GREETING.pack(MAGIC, where.place, addresses[0][:16])
        with (
            socket.create_connection((where.host, where.port)) as first,
            socket.create_connection((where.host, where.port)) as second,
        ):
            first.sendall(greeting)
            assert first.recv(16) == where.token
            second.sendall(greeting)
            assert _hung_up(second)


def test_an_answer_with_a_wrong_token_is_refused():
    with Host("a") as a, Host("b") as b:
        addresses = a.ask("prepare", [looped(0, 8)])
        answer = b.ask("accept", [Sender(host="a", qp=0, address=addresses[0])])["a", 0]
        other = ReceiverAddress.unpacked(answer)._replace(token=bytes(16)).packed()
        with pytest.raises(TransportError, match=r"b/0 at 127\.0\.0\.1, port .* token is wrong"):
            a.ask("join", {0: other})


def test_a_sender_that_never_connects_is_named(monkeypatch):
    monkeypatch.setattr(transport, "_LATE_SECONDS", 0.3)
    with Host("a") as a, Host("b") as b:
        addresses = a.ask("prepare", [looped(qp, 8) for qp in range(6)])
        b.ask("prepare", [])
        b.ask("accept", [Sender(host="a", qp=qp, address=addresses[qp]) for qp in range(6)])
        b.ask("join", {})
        with pytest.raises(TransportError, match="no connection has come from a/0, a/1, a/2, a/3 and 2 more; see"):
            b.ask("run", time.time_ns(), time.time_ns() + 5 * SECOND)


def test_a_receiver_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setattr(dialling, "JOIN_SECONDS", 0.3)
    with Host("a") as a, socket.create_server(("127.0.0.1", 0)) as listening:  # it takes connections and says nothing
        a.ask("prepare", [looped(3, 8)])
        port = listening.getsockname()[1]
        with pytest.raises(TransportError, match=f"b/3 at 127.0.0.1, port {port} does not answer within 0.3 s; see"):
            a.ask("join", {3: ReceiverAddress(bytes(16), 0, port, "127.0.0.1").packed()})
        listening.close()
        with pytest.raises(TransportError, match=f"b/3 at 127.0.0.1, port {port}: refused; see that the agent there"):
            a.ask("join", {3: ReceiverAddress(bytes(16), 0, port, "127.0.0.1").packed()})


def test_an_address_that_is_not_one_is_refused():
    sender = Tcp(Options(host="a", address="127.0.0.1"))
    sender.prepare([looped(0, 8)])
    with pytest.raises(TransportError, match="b/0: the receiving end has no address"):
        sender.join({})
    with pytest.raises(TransportError, match="not one of TCP; see that both hosts use the same transport"):
        sender.join({0: b"gid"})
    with pytest.raises(TransportError, match="not one of TCP"):
        sender.accept([Sender(host="b", qp=0, address=b"gid")])
    sender.close()
    elsewhere = Tcp(Options(host="a", address="192.0.2.7"))
    address = elsewhere.prepare([looped(0, 8)])[0]
    with pytest.raises(TransportError, match=r"no interface has the address 192\.0\.2\.7; set `address`"):
        elsewhere.accept([Sender(host="b", qp=0, address=address)])
    with pytest.raises(TransportError, match=r"no local port of 192\.0\.2\.7 is free, or no interface has this"):
        elsewhere.join({0: ReceiverAddress(bytes(16), 0, 9, "127.0.0.1").packed()})
    elsewhere.close()
    elsewhere.close()


def test_memory_does_not_grow_with_the_messages_of_a_trial():
    outcomes = trial({"a": [looped(0, 8, seconds=3, depth=512, batch=2)]}, keep_rows=False)
    sender = outcomes["a"]
    assert sender.rows > 6 * 1024  # so many blocks
    assert sender.operations >= 2 * (sender.rows - 1)
    assert sender.resident_kib[-1] - sender.resident_kib[3] < 512
    # the receiving end has no rows of its own; what it may hold is the same however long the trial lasts
    assert outcomes["b"].rows == 0


def test_a_run_ends_when_it_is_closed_meanwhile():
    a, b = Tcp(Options(host="a", address="127.0.0.1")), Tcp(Options(host="b", address="127.0.0.1"))
    address = a.prepare([looped(0, 8, seconds=50)])[0]
    a.join({0: b.accept([Sender(host="a", qp=0, address=address)])["a", 0]})
    blocks = []
    rows = Rows(lambda kind, block: blocks.append((kind, block)))
    t0_ns = clock.now_ns()
    running = threading.Thread(target=a.run, args=(t0_ns, t0_ns + 50 * SECOND, rows))
    running.start()
    time.sleep(0.1)
    a.close()
    running.join(10)
    assert not running.is_alive()
    rows.close()
    assert [SAMPLE.unpack(block)[8] for _, block in blocks] == [TIMEOUT]
    b.close()


def test_a_limit_of_open_files_is_named():
    def join_with_few_files(pipe):
        sender = Tcp(Options(host="a", address="127.0.0.1"))
        sender.prepare([looped(0, 8)])
        resource.setrlimit(resource.RLIMIT_NOFILE, (1, 1))
        try:
            sender.join({0: ReceiverAddress(bytes(16), 0, 9, "127.0.0.1").packed()})
        except TransportError as error:
            pipe.send(str(error))

    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=join_with_few_files, args=(theirs,), daemon=True)
    process.start()
    assert ours.poll(10)
    assert ours.recv() == "b/0: no socket: Too many open files; raise the limit of open files (LimitNOFILE)"
    process.join()


def test_256_queue_pairs_send_to_one_host():
    queues = [scheduled(qp, (1000, 0), (20_000, 5 * MS)) for qp in range(256)]
    rows = trial({"a": queues}, verify=True)["a"].samples
    assert len(rows) == 512
    assert {row.place for row in rows} == set(range(256))
    assert_whole(rows)


def test_packets_carry_the_class_of_their_priority_and_leave_from_the_given_address():
    a = Tcp(Options(host="a", address="127.0.0.2", dscp={5: 46}))
    b = Tcp(Options(host="b", address="127.0.0.3", dscp={5: 46}))
    addresses = a.prepare([scheduled(0, (8, 0), priority=5), scheduled(1, (8, 0), priority=3)])
    answers = b.accept([Sender(host="a", qp=qp, address=addresses[qp]) for qp in (0, 1)])
    a.join({qp: answers["a", qp] for qp in (0, 1)})
    # the last two bits are the kernel's: TCP negotiates ECN itself
    found = sorted((local, tos & ~3, no_delay) for local, tos, no_delay in _connections({"127.0.0.2", "127.0.0.3"}))
    assert found == [(f"127.0.0.{host}", dscp << 2, 1) for host in (2, 3) for dscp in (26, 46)]
    a.close()
    b.close()
    assert not _connections({"127.0.0.2", "127.0.0.3"})


def _connections(locals_):
    """Return (local address, IP_TOS, TCP_NODELAY) of this process's connections from some addresses."""
    found = []
    for path in Path("/proc/self/fd").iterdir():
        try:
            if not str(path.readlink()).startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(path.name))) as own:
                if own.family == socket.AF_INET and own.getsockname()[0] in locals_:
                    own.getpeername()
                    options = (socket.IPPROTO_IP, socket.IP_TOS), (socket.IPPROTO_TCP, socket.TCP_NODELAY)
                    found.append((own.getsockname()[0], *(own.getsockopt(*option) & 0xFF for option in options)))
        except OSError:  # closed meanwhile, or listening
            continue
    return found
