"""The transport nixl, between two processes of this machine: real UCX over real TCP.

The wheel is in a folder of its own beside the environment (see the Makefile), or in the one that AIBENCH_NIXL names.
"""

import importlib.util
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from transport_pair import trial

from aibench_lib.worker import transports
from aibench_lib.worker.transports.transport import Loop, Message, Options, SendQueue, TransportError

SECOND = 1_000_000_000
LOOP = Loop(size_bytes=65536, depth=4, batch=2, offset_ns=0, duration_ns=SECOND // 2, rate_bps=0, echo=False)
STREAM = SendQueue(peer="b", qp=7, priority=3, operation="write_with_imm", loop=LOOP)
FOLDER = os.environ.get("AIBENCH_NIXL", f"{sys.prefix}/nixl")
HERE = any(importlib.util.find_spec(name) for name in ("nixl", "nixl_cu12", "nixl_cu13"))


@pytest.fixture
def nixl(monkeypatch):
    """Let this test alone find NIXL, and leave the environment as it was, whatever the transport has told UCX."""
    if not HERE and not Path(FOLDER).is_dir():
        pytest.skip(f"NIXL is not installed: pip install --no-deps --target {FOLDER} nixl-cu12")
    monkeypatch.syspath_prepend(FOLDER)
    for name in ("UCX_TLS", "UCX_NET_DEVICES", "UCX_MODULES", "UCX_IB_TRAFFIC_CLASS", "UCX_IB_GID_INDEX"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.skipif(HERE, reason="NIXL is installed")
def test_without_nixl_the_transport_says_what_to_install():
    with pytest.raises(TransportError, match="pip install --no-deps nixl-cu12"):
        transports.open("nixl", Options(host="a", address="127.0.0.1"))
    assert "nixl" not in transports.available("127.0.0.1")


@pytest.mark.usefixtures("nixl")
def test_a_loop_writes_with_a_signal_for_each_row():
    done = trial({"a": [STREAM]}, transport="nixl", verify=True)
    rows, receipts = done["a"].samples, done["b"].receipts
    assert len(rows) > 3
    assert {row.status for row in rows} == {"ok"}
    whole = rows if rows[-1].operations == 2 else rows[:-1]  # the end of the loop may cut a row short
    assert {(row.operations, row.size_bytes) for row in whole} == {(2, 131072)}
    receipts = sorted(receipts, key=lambda receipt: receipt.sequence)  # NIXL does not promise to keep their order
    assert [receipt.sequence for receipt in receipts] == list(range(len(whole)))
    assert {receipt.size_bytes for receipt in receipts} == {131072}
    assert all(row.posted_ns < row.completed_ns for row in rows)
    for row, receipt in zip(whole, receipts, strict=True):  # one clock here: a signal cannot come before its message
        assert receipt.received_ns > row.posted_ns


@pytest.mark.usefixtures("nixl")
def test_the_receiving_software_answers_where_a_round_trip_is_wanted():
    queue = replace(STREAM, loop=replace(LOOP, size_bytes=8, depth=1, batch=1, echo=True))
    done = trial({"a": [queue]}, transport="nixl")
    assert len(done["a"].samples) > 3
    for row in done["a"].samples:
        assert row.status == "ok"
        assert row.posted_ns < row.completed_ns
        assert row.posted_ns < row.echoed_ns


@pytest.mark.usefixtures("nixl")
def test_messages_of_a_schedule_are_posted_when_they_are_due():
    sizes = [1, 4096, 1 << 20, 4096]
    messages = tuple(Message(size_bytes=size, offset_ns=place * 50_000_000) for place, size in enumerate(sizes))
    done = trial({"a": [replace(STREAM, loop=None, messages=messages)]}, transport="nixl")
    rows = done["a"].samples
    assert [row.size_bytes for row in rows] == sizes
    assert [row.intended_ns - rows[0].intended_ns for row in rows] == [message.offset_ns for message in messages]
    assert all(row.intended_ns <= row.posted_ns < row.completed_ns for row in rows)
    assert [receipt.sequence for receipt in done["b"].receipts] == [0, 1, 2, 3]


@pytest.mark.usefixtures("nixl")
def test_a_read_pulls_what_the_peer_has():
    done = trial({"a": [replace(STREAM, operation="read")]}, transport="nixl", verify=True)
    assert {row.status for row in done["a"].samples} == {"ok"}
    assert done["b"].receipts == []


@pytest.mark.usefixtures("nixl")
def test_two_hosts_send_to_each_other_on_several_queue_pairs():
    there = [replace(STREAM, qp=qp) for qp in (1, 2)]
    back = [replace(STREAM, qp=1, peer="a", operation="write")]
    done = trial({"a": there, "b": back}, transport="nixl", verify=True)
    assert {row.place for row in done["a"].samples} == {0, 1}
    assert {row.status for host in "ab" for row in done[host].samples} == {"ok"}
    assert {receipt.place for receipt in done["b"].receipts} == {0, 1}


@pytest.mark.usefixtures("nixl")
def test_a_paced_loop_sends_no_faster_than_its_rate():
    # 4,000,000 bit/s for half a second are 250,000 bytes: 3.8 messages of 65,536
    queue = replace(STREAM, loop=replace(LOOP, batch=1, rate_bps=4_000_000))
    rows = trial({"a": [queue]}, transport="nixl")["a"].samples
    assert 1 <= len(rows) <= 4


@pytest.mark.usefixtures("nixl")
def test_what_is_not_complete_at_the_deadline_is_a_timeout():
    late = (Message(size_bytes=64, offset_ns=0), Message(size_bytes=64, offset_ns=5 * SECOND))
    rows = trial({"a": [replace(STREAM, loop=None, messages=late)]}, transport="nixl", seconds=1.5)["a"].samples
    assert [row.status for row in rows] == ["ok", "timeout"]


@pytest.mark.usefixtures("nixl")
def test_the_label_says_what_carries_the_bytes(monkeypatch):
    transport = transports.open("nixl", Options(host="a", address="127.0.0.1"))
    monkeypatch.setattr("aibench_lib.worker.transports.nixl.library.agent", lambda host: _NoAgent())
    transport.prepare([])
    assert transport.label == "nixl-ucx-tcp"
    assert (os.environ["UCX_TLS"], os.environ["UCX_NET_DEVICES"]) == ("tcp", "lo")
    monkeypatch.setenv("UCX_TLS", "rc,cuda_copy")
    transport = transports.open("nixl", Options(host="a", address="127.0.0.1"))
    transport.prepare([])
    assert transport.label == "nixl-ucx-rc+cuda_copy"


@pytest.mark.usefixtures("nixl")
def test_nothing_is_written_to_the_output_of_the_agent():
    # in an interpreter of its own: what other tests have imported here may speak when it forks
    sends = "trial({'a': [STREAM]}, transport='nixl')['a'].samples"
    code = f"from test_transport_nixl import STREAM, trial; print(len({sends}))"
    path = os.pathsep.join([FOLDER, str(Path(__file__).parent)])
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) > 3  # rows, and nothing else
    assert done.stderr == ""


@pytest.mark.usefixtures("nixl")
def test_what_nixl_does_not_know_is_refused():
    transport = transports.open("nixl", Options(host="a", address="127.0.0.1"))
    with pytest.raises(TransportError, match="NIXL knows no send; use write"):
        transport.prepare([replace(STREAM, operation="send")])
    with pytest.raises(TransportError, match="one traffic class a process"):
        transport.prepare([STREAM, replace(STREAM, qp=8, priority=0)])
    with pytest.raises(TransportError, match=r"no interface of this host has the address 192\.0\.2\.77"):
        transports.open("nixl", Options(host="a", address="192.0.2.77")).prepare([STREAM])


class _NoAgent:
    def get_agent_metadata(self):
        return b""
