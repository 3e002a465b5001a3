"""The tcp transport with real connections between processes, on loopback."""

import os
import time
from pathlib import Path

import pytest
import transport_pair
from transport_pair import KIB, MIB, MS, SECOND, US, Host, assert_whole, looped, scheduled, trial

from aibench_lib.worker.transports.rows import NEVER
from aibench_lib.worker.transports.tcp import payload, transport
from aibench_lib.worker.transports.transport import (
    OPERATIONS,
)

pytestmark = pytest.mark.timeout(120)


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
    # 1000 B at 16 kbit/s: one each 500 ms, at 0, 500 and 1000 ms
    rows = trial({"a": [looped(0, 1000, seconds=1.45, depth=2, batch=2, rate=16_000)]})["a"].samples
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


def test_memory_does_not_grow_with_the_messages_of_a_trial():
    outcomes = trial({"a": [looped(0, 8, seconds=3, depth=512, batch=2)]}, keep_rows=False)
    sender = outcomes["a"]
    assert sender.rows > 6 * 1024  # so many blocks
    assert sender.operations >= 2 * (sender.rows - 1)
    assert sender.resident_kib[-1] - sender.resident_kib[3] < 512
    # the receiving end has no rows of its own; what it may hold is the same however long the trial lasts
    assert outcomes["b"].rows == 0


def test_256_queue_pairs_send_to_one_host():
    queues = [scheduled(qp, (1000, 0), (20_000, 5 * MS)) for qp in range(256)]
    rows = trial({"a": queues}, verify=True)["a"].samples
    assert len(rows) == 512
    assert {row.place for row in rows} == set(range(256))
    assert_whole(rows)
