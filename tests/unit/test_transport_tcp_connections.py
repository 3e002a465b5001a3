"""How queue pairs over TCP get their connections, who is let in, and what is said when one does not come."""

import multiprocessing
import os
import resource
import socket
import threading
import time
from pathlib import Path

import pytest
import transport_pair
from transport_pair import KIB, SECOND, Host, assert_whole, looped, scheduled

from aibench_lib.worker.transports import clock
from aibench_lib.worker.transports.rows import SAMPLE, TIMEOUT, Rows
from aibench_lib.worker.transports.tcp import Tcp, dialling, transport
from aibench_lib.worker.transports.tcp.wire import GREETING, MAGIC, ReceiverAddress
from aibench_lib.worker.transports.transport import (
    Options,
    Sender,
    TransportError,
)

pytestmark = pytest.mark.timeout(120)


def test_a_connection_with_a_wrong_token_is_dropped_and_disturbs_nobody():
    with Host("a") as a, Host("b") as b:
        addresses = a.ask("prepare", [looped(0, 64 * KIB)])
        b.ask("prepare", [])
        answers = b.ask("accept", [Sender(host="a", qp=0, address=addresses[0])])
        a.ask("accept", [])
        where = ReceiverAddress.unpacked(answers["a", 0])
        with socket.create_connection((where.host, where.port)):  # who never says a word
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
